"""The sounds of a request: files of a form, the body itself, or an address; and the wishes beside them."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from samcli.engine.inputs.find import Input
from samcli.serving.gate import RefusedError
from samcli.serving.http.addresses import SPOOL_BYTES, AllowList, fetched
from samcli.serving.sounds import input_of

SOUNDS = ("audio/", "video/", "application/")  # kinds of bodies that may be one
MOST_FILES = 32
MOST_FIELDS = 16
LONGEST_NAME = 200


@dataclass(frozen=True)
class Asked:
    """One request, read to its end."""

    sounds: list[Input]
    wishes: dict[str, str]


async def read(request: Request, allowed: AllowList, most_bytes: int) -> Asked:
    """Whatever kind of body it is; RefusedError where it is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    wishes = dict(request.query_params)
    if kind == "multipart/form-data":
        return await _form(request, wishes)
    if kind == "application/json":
        return await _json(request, wishes, allowed, most_bytes)
    if kind == "application/x-www-form-urlencoded" or (kind and not kind.startswith(SOUNDS)):
        raise RefusedError(415, "body", "Send a sound, a form with a file, or JSON with an address.")
    spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 (closed with its input)
    async for piece in request.stream():
        spool.write(piece)
    if not spool.tell():
        raise RefusedError(400, "body", "The request holds no sound.")
    return Asked([input_of(cast(BinaryIO, spool), "sound")], wishes)


async def _form(request: Request, wishes: dict[str, str]) -> Asked:
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
            wishes[name] = value
    if not sounds:
        raise RefusedError(400, "body", "The form holds no file.")
    return Asked(sounds, wishes)


async def _json(request: Request, wishes: dict[str, str], allowed: AllowList, most_bytes: int) -> Asked:
    try:
        values: Any = json.loads(await request.body())
        address = values.pop("url")
        if not isinstance(address, str) or len(address) > 2000:
            raise TypeError
        wishes |= {str(name): _plain(value) for name, value in values.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RefusedError(
            400, "body", 'JSON names an address and wishes: {"url": "https://...", "top_k": 3}.'
        ) from None
    file = await asyncio.to_thread(fetched, address, allowed, most_bytes)
    return Asked([input_of(cast(BinaryIO, file), address)], wishes)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    return str(value)


def _shown(name: str | None) -> str:
    """A name for records; it is never opened."""
    return (name or "sound")[:LONGEST_NAME].replace("\0", "")
