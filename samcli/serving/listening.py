"""uvicorn, with what it lacks against clients that open connections and say nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from samcli.errors import OutputError

HEADER_SECONDS = 10.0  # from the opening of a connection to the end of its first headers
MOST_CONNECTIONS = 1000
STOP_SECONDS = 30  # for requests under way, when the server is asked to end


class PatientProtocol(H11Protocol):
    """HTTP that hangs up on those whose headers do not come."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def _wait(self) -> None:
        self._calm()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._hang_up)

    def _calm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._calm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)


def listen(app: Any, host: str, port: int, note: Callable[[str], None], path: str = "/") -> None:
    """Serve until a signal comes; then no more is taken, and what is under way ends."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        place = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OutputError(f"Cannot listen on {host} port {port}: {(error.strerror or str(error)).lower()}.") from error
    shown = f"[{host}]" if ":" in host else host
    note(f"Listening on http://{shown}:{place.getsockname()[1]}{path}; Ctrl-C ends it.")
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="websockets-sansio",
        log_level="error",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=64 << 10,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=STOP_SECONDS,
        ws_max_size=1 << 20,
    )
    with place:
        uvicorn.Server(config).run(sockets=[place])
