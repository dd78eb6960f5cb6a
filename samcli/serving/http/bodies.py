"""The sounds of a request: files of a form, the body itself, or an address; and the parameters beside them."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from samcli.engine.inputs.find import Input
from samcli.errors import UsageError
from samcli.serving.gate import RefusedError, too_large
from samcli.serving.sounds import input_of

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


SOUNDS = ("audio/", "video/", "application/")  # kinds of bodies that may be one
MOST_FILES = 32
MOST_FIELDS = 16
LONGEST_NAME = 200


@dataclass(frozen=True)
class Asked:
    """One request, read to its end."""

    sounds: list[Input]
    parameters: dict[str, str]


async def read(request: Request, allowed: AllowList, most_bytes: int) -> Asked:
    """Whatever kind of body it is; RefusedError where it is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    parameters = dict(request.query_params)
    if kind == "multipart/form-data":
        return await _form(request, parameters)
    if kind == "application/json":
        return await _json(request, parameters, allowed, most_bytes)
    if kind == "application/x-www-form-urlencoded" or (kind and not kind.startswith(SOUNDS)):
        raise RefusedError(415, "body", "Send a sound, a form with a file, or JSON with an address.")
    spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 (closed with its input)
    async for piece in request.stream():
        spool.write(piece)
    if not spool.tell():
        raise RefusedError(400, "body", "The request holds no sound.")
    return Asked([input_of(cast(BinaryIO, spool), "sound")], parameters)


async def _form(request: Request, parameters: dict[str, str]) -> Asked:
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS, max_part_size=1 << 16)
    except RefusedError:
        raise
    except (HTTPException, ValueError, KeyError, UnicodeError) as error:
        raise RefusedError(400, "body", f"The form cannot be read: {getattr(error, 'detail', error)}.") from error
    sounds = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            sounds.append(input_of(value.file, _shown(value.filename)))
        else:
            parameters[name] = value
    if not sounds:
        raise RefusedError(400, "body", "The form holds no file.")
    return Asked(sounds, parameters)


async def _json(request: Request, parameters: dict[str, str], allowed: AllowList, most_bytes: int) -> Asked:
    try:
        values: Any = json.loads(await request.body())
        address = values.pop("url")
        if not isinstance(address, str) or len(address) > 2000:
            raise TypeError
        parameters |= {str(name): _plain(value) for name, value in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RefusedError(
            400, "body", 'JSON names an address and wishes: {"url": "https://...", "top_k": 3}.'
        ) from None
    file = await asyncio.to_thread(fetched, address, allowed, most_bytes)
    return Asked([input_of(cast(BinaryIO, file), address)], parameters)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    return str(value)


def _shown(name: str | None) -> str:
    """A name for records; it is never opened."""
    return (name or "sound")[:LONGEST_NAME].replace("\0", "")
