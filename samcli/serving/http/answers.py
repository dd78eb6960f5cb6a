"""The requests that hear: orders for their sounds, and the records as lines while they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions
from samcli.engine.task import Task
from samcli.errors import ModelError, UsageError
from samcli.records import ErrorInfo, Record
from samcli.serving.desk import BusyError, Desk, Order
from samcli.serving.gate import RefusedError
from samcli.serving.http.bodies import AllowList, Asked, read
from samcli.serving.http.openapi import TASKS, options_of
from samcli.tasks.run import task_for
from samcli.writers.formats import to_json

LINES = "application/x-ndjson"
LOOK_SECONDS = 1.0  # between two looks whether the client is still there


class Followed(Order):
    """An order whose client is told of each record when it is there."""

    def __init__(self, item: Input, task: Task, options: RunOptions) -> None:
        super().__init__(item, task, options)
        self.news: asyncio.Queue[Record | None] = asyncio.Queue()  # None: that was all
        self._loop = asyncio.get_running_loop()

    def tell(self, record: Record) -> None:
        self._put(record)

    def end(self, records: object) -> None:
        self._put(None)

    def _put(self, record: Record | None) -> None:
        if not self._loop.is_closed():  # the desk may outlive the server
            self._loop.call_soon_threadsafe(self.news.put_nowait, record)


AnOrder = TypeVar("AnOrder", bound=Order)
News = TypeVar("News")


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
        wants_lines = _wants_lines(request)
        orders = self.orders(asked, lambda item: self._followed(task, item, asked.parameters, wants_lines))
        records = self._told(orders, request)
        first = await anext(records)
        status = 422 if len(orders) == 1 and first.error is not None else 200
        lines = _lines(first, records)
        if wants_lines:
            return StreamingResponse(lines, status, media_type=LINES)
        body = "[" + ",\n".join([line.rstrip("\n") async for line in lines]) + "]\n"
        return Response(body, status, media_type="application/json")

    async def classification(self, request: Request) -> Response:
        """`POST /v1/audio/classification`, as LocalAI has it."""
        asked = await self.read_sounds(request)
        name = asked.parameters.pop("model", "")
        if name not in ("", self.desk.model.name):
            close(asked)
            raise RefusedError(404, "model", f"This server has the model {self.desk.model.name!r} only.")
        asked.parameters.pop("language", None)
        if asked.parameters.get("top_k") == "0":  # there: the default
            del asked.parameters["top_k"]
        order, *more = self.orders(
            asked, lambda item: self.desk.order("tag", item, options_of("tag", asked.parameters))
        )
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

    def _followed(self, task: str, item: Input, parameters: Mapping[str, str], wants_lines: bool) -> Followed:
        """Of lines each comes when its segment is heard; an array tells of each what is known in the end."""
        options = options_of(task, parameters)
        item = replace(item, flows=wants_lines and options.segment is not None)
        order = Followed(item, task_for(TASKS[task], self.desk.model, options), options)
        self.desk.take(order)
        order.records.add_done_callback(order.end)  # behind the desk's own: it waits for nothing once all is told
        return order

    def orders(self, asked: Asked, order: Callable[[Input], AnOrder]) -> list[AnOrder]:
        """One for each sound; all of them or none."""
        orders: list[AnOrder] = []
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
        return await self._in_time(order, asyncio.wrap_future(order.records), time.monotonic(), request)

    async def _in_time(self, order: Order, news: Awaitable[News], since: float, request: Request) -> News:
        waiting = asyncio.ensure_future(news)
        try:
            while True:
                done, _ = await asyncio.wait([waiting], timeout=LOOK_SECONDS)
                if done:
                    return waiting.result()
                if time.monotonic() - since >= self.answer_seconds:
                    raise RefusedError(504, "time", f"This was not heard within {self.answer_seconds:.0f} s.")
                if await request.is_disconnected():
                    raise RefusedError(499, "gone", "The client went away.")
        except BaseException:
            waiting.cancel()
            order.cancel()
            raise

    async def _told(self, orders: Sequence[Followed], request: Request) -> AsyncIterator[Record]:
        """Each record when it is there. A refusal once something was told is a record, too."""
        told = False
        try:
            for order in orders:
                since = time.monotonic()
                try:
                    while (record := await self._in_time(order, order.news.get(), since, request)) is not None:
                        told = True
                        yield record
                except RefusedError as refusal:
                    if not told:
                        raise
                    info = ErrorInfo(refusal.kind, refusal.message)
                    yield Record(task=order.task.name, path=order.item.display, error=info)
        finally:
            leave(orders)


async def _lines(first: Record, more: AsyncIterator[Record]) -> AsyncIterator[str]:
    yield to_json(first) + "\n"
    async for record in more:
        yield to_json(record) + "\n"


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
