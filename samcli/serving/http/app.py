"""The server's paths, and what stands before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from samcli._version import __version__
from samcli.serving.desk import Desk
from samcli.serving.gate import App, Gate, RefusedError, Rules, problem
from samcli.serving.http.addresses import AllowList
from samcli.serving.http.answers import Hearing
from samcli.serving.http.drop import DropPage
from samcli.serving.http.live import Live
from samcli.serving.http.metrics import Counted, Metrics
from samcli.serving.http.openapi import ABOUT, description, page

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
