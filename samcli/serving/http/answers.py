"""The requests that hear: orders for their sounds, and the records as lines while they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions
from samcli.errors import ModelError, UsageError
from samcli.records import ErrorInfo, Record
from samcli.serving.desk import BusyError, Desk, Order
from samcli.serving.gate import RefusedError
from samcli.serving.http.addresses import AllowList
from samcli.serving.http.bodies import Asked, read
from samcli.serving.http.wishes import TASKS, WISHES, options_of
from samcli.writers.json import to_json

LINES = "application/x-ndjson"
LOOK_SECONDS = 1.0  # between two looks whether the client is still there


@dataclass(frozen=True)
class Hearing:
    """What answers need of the server."""

    desk: Desk
    allowed: AllowList
    most_bytes: int
    answer_seconds: float

    async def records(self, request: Request) -> Response:
        """`POST /v1/tag` and its like."""
        task = request.url.path.rpartition("/")[2]
        asked = await self.read_sounds(request)
        orders = self._orders(task, asked, lambda wishes: options_of(task, wishes))
        try:
            first = await self.heard(orders[0], request)
        except BaseException:
            leave(orders)
            raise
        status = 422 if len(orders) == 1 and first[0].error is not None else 200
        lines = self._lines(orders, first, request)
        if _wants_lines(request):
            return StreamingResponse(lines, status, media_type=LINES)
        body = "[" + ",\n".join([line.rstrip("\n") async for line in lines]) + "]\n"
        return Response(body, status, media_type="application/json")

    async def classification(self, request: Request) -> Response:
        """`POST /v1/audio/classification`, as LocalAI has it."""
        asked = await self.read_sounds(request)
        name = asked.wishes.pop("model", "")
        if name not in ("", self.desk.model.name):
            close(asked)
            raise RefusedError(404, "model", f"This server has the model {self.desk.model.name!r} only.")
        asked.wishes.pop("language", None)
        if asked.wishes.get("top_k") == "0":  # there: the default
            del asked.wishes["top_k"]
        order, *more = self._orders("tag", asked, lambda wishes: options_of("tag", wishes))
        leave(more)
        try:
            (record, *_) = await self.heard(order, request)
        finally:
            leave([order])
        if record.error is not None:
            raise RefusedError(422, record.error.type, record.error.message)
        places = {label: place for place, label in enumerate(self.desk.model.labels)}
        found = [{"index": places[tag.label], "label": tag.label, "score": tag.score} for tag in record.tags or ()]
        return JSONResponse({"model": self.desk.model.name, "detections": found})

    async def read_sounds(self, request: Request) -> Asked:
        """The request, unless too many wait: then it is not even read."""
        try:
            self.desk.check_room()
        except BusyError as error:
            raise _busy(error) from None
        return await read(request, self.allowed, self.most_bytes)

    def _orders(self, task: str, asked: Asked, options: Callable[[Mapping[str, str]], RunOptions]) -> list[Order]:
        return self.orders(asked, lambda item: self.desk.order(TASKS[task], item, options(asked.wishes)))

    def orders(self, asked: Asked, order: Callable[[Input], Order]) -> list[Order]:
        """One for each sound; all of them or none."""
        orders: list[Order] = []
        try:
            for item in asked.sounds:
                orders.append(order(item))
        except BusyError as error:
            leave(orders)
            close(asked)
            raise _busy(error) from None
        except (UsageError, ModelError) as error:
            leave(orders)
            close(asked)
            raise RefusedError(400, "parameter", str(error)) from error
        except RefusedError:
            close(asked)
            raise
        return orders

    async def heard(self, order: Order, request: Request) -> list[Record]:
        """The records of one sound, unless that takes too long or the client goes away."""
        waiting = asyncio.ensure_future(asyncio.wrap_future(order.records))
        spent = 0.0
        while True:
            done, _ = await asyncio.wait([waiting], timeout=LOOK_SECONDS)
            if done:
                return waiting.result()
            spent += LOOK_SECONDS
            if spent >= self.answer_seconds:
                order.cancel()
                raise RefusedError(504, "time", f"This was not heard within {self.answer_seconds:.0f} s.")
            if await request.is_disconnected():
                order.cancel()
                raise RefusedError(499, "gone", "The client went away.")

    async def _lines(self, orders: Sequence[Order], first: list[Record], request: Request) -> AsyncIterator[str]:
        try:
            for record in first:
                yield to_json(record) + "\n"
            for order in orders[1:]:
                try:
                    records = await self.heard(order, request)
                except RefusedError as refusal:
                    info = ErrorInfo(refusal.kind, refusal.message)
                    records = [Record(task=order.task.name, path=order.item.display, error=info)]
                for record in records:
                    yield to_json(record) + "\n"
        finally:
            leave(orders)


def _busy(error: BusyError) -> RefusedError:
    return RefusedError(429, "busy", str(error), (("retry-after", str(error.seconds)),))


def leave(orders: Sequence[Order]) -> None:
    """Nobody waits for these any more; what was heard to the end is closed."""
    for order in orders:
        if order.records.done() and not order.records.cancelled():
            order.item.source.close()
        else:
            order.cancel()


def close(asked: Asked) -> None:
    for item in asked.sounds:
        item.source.close()


def _wants_lines(request: Request) -> bool:
    return "application/json" not in request.headers.get("accept", "")


def parameters(task: str) -> list[dict[str, Any]]:
    """The wishes of a task as OpenAPI describes them."""
    return [
        {
            "name": name,
            "in": "query",
            "description": wish.about,
            "schema": dict(wish.schema),
            "required": name == "question",
        }
        for name, wish in WISHES.items()
        if task in wish.tasks
    ]
