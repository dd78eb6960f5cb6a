"""The server's paths, and what stands before them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from samcli._version import __version__
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.recorded_at import Clock
from samcli.engine.options import RunOptions
from samcli.records import Record
from samcli.report.entry import entries, everything
from samcli.report.page import empty_page, text
from samcli.report.picture import Picture
from samcli.serving.desk import Desk, Order
from samcli.serving.gate import App, Gate, RefusedError, Rules, problem
from samcli.serving.http.answers import Hearing, close, leave
from samcli.serving.http.bodies import AllowList
from samcli.serving.http.live import Live
from samcli.serving.http.openapi import ABOUT, description, page

if TYPE_CHECKING:
    from samcli.serving.gate import Message, Receive, Scope, Send

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


class DropPage:
    """The page, and what it asks."""

    def __init__(self, hearing: Hearing) -> None:
        self.hearing, self.task = hearing, everything(hearing.desk.model)
        self.page, policy = empty_page("sam", f"heard by {hearing.desk.model.name}")
        self.headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }

    def routes(self) -> list[Route]:
        return [Route("/", self.shown), Route("/page/heard", self.heard, methods=["POST"])]

    async def shown(self, request: Request) -> Response:
        return Response(self.page, media_type="text/html", headers=self.headers)

    async def heard(self, request: Request) -> Response:
        """One recording: what is heard in it, and its picture, drawn while it is decoded."""
        asked = await self.hearing.read_sounds(request)
        if len(asked.sounds) != 1 or asked.parameters:
            close(asked)
            raise RefusedError(400, "body", "Send one recording, and nothing beside it.")
        picture = Picture(self.hearing.desk.model.sample_rate)

        def order(item: Input) -> Order:
            drawn = Order(item, self.task, RunOptions(), watch=lambda piece: picture.add(piece.wave))
            return self.hearing.desk.take(drawn)

        orders = self.hearing.orders(asked, order)
        try:
            records = await self.hearing.heard(orders[0], request)
        finally:
            leave(orders)
        return JSONResponse(told(records, picture))


def told(records: list[Record], picture: Picture) -> dict[str, Any]:
    """What the page shows of a recording, as its script reads it."""
    (entry,) = entries(records, Clock())
    return {"facts": entry.facts(), "picture": text(picture.image())}


CLEAR = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
}


@dataclass(frozen=True)
class Settings:
    """Of one server, beside its rules."""

    allow: Sequence[str] = ()  # beginnings of addresses
    answer_seconds: float = 300.0
    page: bool = False  # a page to drop files into, in place of the plain one


def application(desk: Desk, rules: Rules, settings: Settings | None = None) -> App:
    """An ASGI application."""
    settings = settings or Settings()
    metrics = Metrics(desk)
    hearing = Hearing(desk, AllowList.of(settings.allow), rules.most_bytes, settings.answer_seconds)
    offered = description()

    async def health(request: Request) -> Response:
        model = desk.model
        facts = {"status": "ok", "model": model.name, "revision": model.revision, "version": __version__}
        return JSONResponse(facts | {"waiting": desk.waiting})

    async def figures(request: Request) -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4")

    async def openapi(request: Request) -> Response:
        return JSONResponse(offered)

    async def shown(request: Request) -> Response:
        return HTMLResponse(page(offered), headers=CLEAR)

    routes = [
        *(Route(f"/v1/{task}", hearing.records, methods=["POST"]) for task in ABOUT),
        Route("/v1/audio/classification", hearing.classification, methods=["POST"]),
        WebSocketRoute("/v1/live", Live(desk).listen),
        Route("/health", health), Route("/metrics", figures), Route("/openapi.json", openapi),
        Route("/docs", shown), *(DropPage(hearing).routes() if settings.page else [Route("/", shown)]),
    ]  # fmt: skip
    app: Any = Starlette(routes=routes, exception_handlers=HANDLERS)
    return Counted(Gate(app, rules), metrics)


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    # What was too large or too slow is not read to its end, so nothing can follow it.
    headers = dict(error.headers) | ({"connection": "close"} if error.status in (408, 413) else {})
    return Response(problem(error.kind, error.message), error.status, headers, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = problem("request", str(error.detail))
    return Response(body, error.status_code, error.headers, media_type="application/json")


async def _broken(request: Request, error: Exception) -> Response:
    body = problem("internal", f"This should not have happened: {type(error).__name__}. Please report it.")
    return Response(body, 500, media_type="application/json")


HANDLERS: dict[Any, Any] = {RefusedError: _told, HTTPException: _refused, Exception: _broken}
