"""Sounds at addresses, from places that the server's owner allowed, and from nowhere that those point to."""

from __future__ import annotations

import http.client
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from samcli.errors import UsageError
from samcli.serving.gate import RefusedError, too_large

PIECE = 1 << 16
SPOOL_BYTES = 1 << 20  # kept in memory; more goes to disk
ADDRESS_SECONDS = 60.0
DECENT = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class AllowList:
    """Beginnings of addresses: https://sounds.example/archive/"""

    places: tuple[str, ...] = ()

    @classmethod
    def of(cls, places: Sequence[str]) -> AllowList:
        for place in places:
            parts = urlsplit(place)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
                raise UsageError(
                    f"--allow takes the beginning of an address, such as https://host/folder/, not {place!r}."
                )
        return cls(tuple(places))

    def admits(self, address: str) -> bool:
        """Same scheme, host and port, below the same folder; no way to climb out of it."""
        if not DECENT.fullmatch(address) or "\\" in address:
            return False
        try:
            asked = urlsplit(address)
            where = asked.scheme, asked.hostname, asked.port
        except ValueError:
            return False
        way = unquote(unquote(asked.path))
        if asked.username or ".." in way.split("/") or "\\" in way:
            return False
        for place in self.places:
            allowed = urlsplit(place)
            folder = allowed.path if allowed.path.endswith("/") else allowed.path + "/"
            same = (allowed.scheme, allowed.hostname, allowed.port) == where
            if same and (asked.path.startswith(folder) or asked.path == allowed.path or folder == "/"):
                return True
        return False


class _NoDetour(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *rest: Any, **more: Any) -> None:
        return None


def fetched(address: str, allowed: AllowList, most_bytes: int) -> IO[bytes]:
    """What lies at an address, in a temporary file."""
    if not allowed.admits(address):
        raise RefusedError(403, "address", "That address is not among those this server may fetch.")
    opener = urllib.request.build_opener(_NoDetour, urllib.request.ProxyHandler({}))
    request = urllib.request.Request(address, headers={"User-Agent": "sam", "Accept": "*/*"})
    spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 (the caller closes it)
    ends = time.monotonic() + ADDRESS_SECONDS
    try:
        with opener.open(request, timeout=20) as answer:
            while piece := answer.read(PIECE):
                spool.write(piece)
                if spool.tell() > most_bytes:
                    raise too_large(most_bytes)
                if time.monotonic() > ends:
                    raise RefusedError(502, "address", "That address sends too slowly.")
    except RefusedError:
        spool.close()
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        spool.close()
        code = f" It answers {error.code}." if isinstance(error, urllib.error.HTTPError) else ""
        raise RefusedError(502, "address", f"That address cannot be fetched.{code}") from error
    spool.seek(0)
    return spool
