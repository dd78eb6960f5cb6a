"""What is counted, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

if TYPE_CHECKING:
    from samcli.serving.desk import Desk
    from samcli.serving.gate import App, Message, Receive, Scope, Send

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
TASKS = ("/v1/caption", "/v1/tag", "/v1/ask", "/v1/events", "/v1/audio/classification")
KNOWN = frozenset({*TASKS, "/health", "/metrics", "/", "/page/heard"})


class Metrics:
    """Of one server."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.registry = CollectorRegistry()
        self.requests = Counter("sam_requests", "Requests answered", ["path", "status"], registry=self.registry)
        self.seconds = Histogram(
            "sam_request_seconds", "Time to answer", ["path"], buckets=BUCKETS, registry=self.registry
        )
        self.registry.register(self)

    def collect(self) -> Iterable[Any]:
        """What the desk knows."""
        yield GaugeMetricFamily("sam_orders_waiting", "Sounds that wait or are heard", value=self.desk.waiting)
        heard = self.desk.report
        yield CounterMetricFamily("sam_audio_seconds", "Seconds of sound heard together", value=heard.audio_seconds)
        yield CounterMetricFamily("sam_model_seconds", "Seconds the model computed", value=heard.model_seconds)

    def page(self) -> bytes:
        return generate_latest(self.registry)


class Counted:
    """An application whose answers are counted; unknown paths are one."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, path = time.perf_counter(), scope["path"] if scope["path"] in KNOWN else "other"

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.requests.labels(path, str(message["status"])).inc()
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            self.metrics.seconds.labels(path).observe(time.perf_counter() - began)
