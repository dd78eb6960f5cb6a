"""What stands before every HTTP request: who may ask, how much may be sent, and how long sending may take.

It knows nothing of what is asked. A page in somebody's browser cannot use a server on their machine: its origin is
refused, and so is a host name that was made to point here. Refusals are JSON: `{"error": {type, message}}`.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from samcli.errors import UsageError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
OPEN_PATHS = ("/health",)
TOKEN_VARIABLE = "SAM_TOKEN"


@dataclass(frozen=True)
class Rules:
    """Of one server."""

    token: str = ""  # none: everybody may ask
    most_bytes: int = 256 << 20  # of one request
    idle_seconds: float = 20.0  # between two pieces of a request
    send_seconds: float = 300.0  # for all of it
    local: bool = True  # only this machine is served, so only its names are good
    open_paths: tuple[str, ...] = OPEN_PATHS  # that need no token


class RefusedError(Exception):
    """A request that is not answered as asked."""

    def __init__(self, status: int, kind: str, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.headers = status, kind, message, headers


class Gate:
    """An ASGI application before another."""

    def __init__(self, app: App, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] in ("http.response.start", "websocket.accept")
            await send(message)

        try:
            self._admit(scope)
            bounded = Bounded(receive, self.rules) if scope["type"] == "http" else receive
            await self.app(scope, bounded, watched)
        except RefusedError as refusal:
            if not begun:
                await self._refuse(scope, refusal, send)

    def _admit(self, scope: Scope) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        host = headers.get(b"host", b"").decode("latin-1")
        name = (urlsplit(f"//{host}").hostname or "") if _plausible(host) else ""
        if self.rules.local and name not in LOOPBACK:
            raise RefusedError(421, "host", "This server answers to the names of this machine only.")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and (not _plausible(origin) or urlsplit(origin).netloc != host):
            raise RefusedError(403, "origin", "Pages of other sites may not use this server.")
        if self.rules.token and scope["path"] not in self.rules.open_paths:
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self.rules.token.encode()):
                challenge = (("www-authenticate", "Bearer"),)
                raise RefusedError(401, "token", "A token is needed: Authorization: Bearer TOKEN.", challenge)
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.rules.most_bytes:
            raise too_large(self.rules.most_bytes)

    async def _refuse(self, scope: Scope, refusal: RefusedError, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.message[:120]})
            return
        body = problem(refusal.kind, refusal.message)
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), *refusal.headers]
        if refusal.status in (408, 413):  # the rest of what was sent is not read
            headers.append(("connection", "close"))
        coded = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": refusal.status, "headers": coded})
        await send({"type": "http.response.body", "body": body})


class Bounded:
    """The body of a request, refused when it grows too large or comes too slowly, whatever its headers promised."""

    def __init__(self, receive: Receive, rules: Rules) -> None:
        self.receive, self.rules = receive, rules
        self.size, self.whole = 0, False
        self.ends = time.monotonic() + rules.send_seconds

    async def __call__(self) -> Message:
        if self.whole:  # what comes now is the news that the client went away
            return await self.receive()
        patience = min(self.rules.idle_seconds, self.ends - time.monotonic())
        try:
            message = await asyncio.wait_for(self.receive(), max(0.0, patience))
        except asyncio.TimeoutError:
            raise RefusedError(408, "slow", "The request came too slowly.") from None
        self.size += len(message.get("body", b""))
        if self.size > self.rules.most_bytes:
            raise too_large(self.rules.most_bytes)
        self.whole = not message.get("more_body", False)
        return message


def too_large(most: int) -> RefusedError:
    return RefusedError(413, "too-large", f"The request is too large: at most {most >> 20} MB are heard at once.")


def problem(kind: str, message: str) -> bytes:
    return json.dumps({"error": {"type": kind, "message": message}}, ensure_ascii=False).encode("utf-8", "replace")


def _plausible(text: str) -> bool:
    try:
        urlsplit(f"//{text}").port  # noqa: B018 (it raises for what is no port)
    except ValueError:
        return False
    return True


def token_from(file: str | None) -> str:
    """The token in a file, or in the environment; none where neither is given."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The token in {file!r} cannot be read: {getattr(error, 'strerror', error)}.") from None
    if not token:
        raise UsageError(f"The file {file!r} holds no token.")
    return token


def check_host(host: str, token: str, open_to_all: bool) -> None:
    """Other machines are served only with a token, or where the user says that none is wanted."""
    if host not in LOOPBACK and not token and not open_to_all:
        raise UsageError(
            f"With --host {host} other machines can ask: give a token with --token-file or {TOKEN_VARIABLE}, "
            "or say --open."
        )
