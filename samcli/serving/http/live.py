"""Sound while it comes, over a websocket: 16-bit samples in, a record for every segment out.

Each segment is an order like any other and is heard together with everybody's. A client that sends faster than it is
heard waits: no more than a few segments of it are held.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from samcli.audio.waves import Resampler
from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions
from samcli.engine.windows import Wave
from samcli.errors import SamError
from samcli.records import Record
from samcli.serving.desk import BusyError, Desk, Order
from samcli.serving.gate import RefusedError
from samcli.serving.http.openapi import TASKS, options_of
from samcli.writers.formats import to_json

SILENT_SECONDS = 60.0  # after which a client that sends nothing is left
MOST_AHEAD = 3  # segments that wait to be heard
LEAST_SECONDS = 0.25  # of a last segment
MOST_LISTENERS = 32


class Live:
    """All websockets of a server."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.count = desk, 0

    async def listen(self, socket: WebSocket) -> None:
        await socket.accept()
        if self.count >= MOST_LISTENERS:
            await socket.close(1013, "Too many listen live already.")
            return
        self.count += 1
        try:
            await self._serve(socket)
        except BusyError as error:
            await _closed(socket, 1013, str(error))
        except (RefusedError, SamError) as error:
            await _closed(socket, 1008, str(error))
        except (asyncio.TimeoutError, TimeoutError):
            await _closed(socket, 1001, "Nothing came for long.")
        except WebSocketDisconnect:
            pass
        finally:
            self.count -= 1

    async def _serve(self, socket: WebSocket) -> None:
        parameters = dict(socket.query_params)
        task, rate = parameters.pop("task", "tag"), parameters.pop("rate", "16000")
        if task not in TASKS:
            raise RefusedError(400, "parameter", f"There is no task {task[:50]!r}.")
        if not rate.isdecimal() or not 4000 <= int(rate[:7]) <= 384_000:
            raise RefusedError(400, "parameter", "rate is a whole number from 4000 to 384000.")
        options = options_of(task, {name: text for name, text in parameters.items() if name != "segment"})
        seconds = options_of("tag", {"segment": parameters.get("segment", "10")}).segment or 10.0
        stretch = Stretch(self.desk, TASKS[task], options, int(rate), min(seconds, 60.0))
        orders: asyncio.Queue[Order | None] = asyncio.Queue(MOST_AHEAD)
        halves = [
            asyncio.create_task(self._take(socket, stretch, orders)),
            asyncio.create_task(self._tell(socket, stretch, orders)),
        ]
        try:
            done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_EXCEPTION)
            for half in done:
                half.result()
        finally:
            for half in halves:
                half.cancel()
            stretch.leave()

    async def _take(self, socket: WebSocket, stretch: Stretch, orders: asyncio.Queue[Order | None]) -> None:
        while True:
            message = await asyncio.wait_for(socket.receive(), SILENT_SECONDS)
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            data = message.get("bytes")
            for order in stretch.push(data) if data else stretch.end():
                await orders.put(order)
            if not data:  # any text ends the sound
                await orders.put(None)
                return

    async def _tell(self, socket: WebSocket, stretch: Stretch, orders: asyncio.Queue[Order | None]) -> None:
        while (order := await orders.get()) is not None:
            for record in await asyncio.wrap_future(order.records):
                await socket.send_text(to_json(stretch.placed(record, order)))
            del stretch.starts[order]
        await socket.send_text(json.dumps({"end": round(stretch.sent / stretch.desk.model.sample_rate, 3)}))
        await socket.close()


class Stretch:
    """The sound of one client, cut into segments as it comes."""

    def __init__(self, desk: Desk, task: str, options: RunOptions, rate: int, seconds: float) -> None:
        self.desk, self.task, self.options = desk, task, options
        self.resampler = Resampler(rate, desk.model.sample_rate)
        self.size = round(seconds * desk.model.sample_rate)
        self.held: list[Wave] = []
        self.sent = 0  # samples in segments
        self.starts: dict[Order, float] = {}

    def push(self, data: bytes) -> list[Order]:
        """More samples; the segments that they fill."""
        if len(data) % 2:
            raise RefusedError(400, "body", "Samples have 16 bits: a message holds an even number of bytes.")
        wave = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
        self.held.append(self.resampler.push(wave))
        whole = np.concatenate(self.held)
        full = len(whole) // self.size
        self.held = [whole[full * self.size :]]
        return [self._order(whole[at * self.size : (at + 1) * self.size]) for at in range(full)]

    def end(self) -> list[Order]:
        """The last segment, if it is long enough to be one."""
        rest = np.concatenate([*self.held, self.resampler.finish()])
        self.held = []
        return [self._order(rest)] if len(rest) >= LEAST_SECONDS * self.desk.model.sample_rate else []

    def _order(self, wave: Wave) -> Order:
        rate = self.desk.model.sample_rate
        item = Input("-", "live", None, "live", source=(wave, rate))
        order = self.desk.order(self.task, item, self.options)
        self.starts[order] = self.sent / rate
        self.sent += len(wave)
        return order

    def placed(self, record: Record, order: Order) -> Record:
        """A segment's record with the times of the whole."""
        shift = self.starts[order]

        def later(seconds: float | None) -> float | None:
            return None if seconds is None else round(seconds + shift, 6)

        times = {name: later(getattr(record, name)) for name in ("start", "end", "duration", "covered")}
        evidence = record.evidence and tuple(
            replace(event, start=round(event.start + shift, 6), end=round(event.end + shift, 6))
            for event in record.evidence
        )
        return replace(record, **times, evidence=evidence)  # type: ignore[arg-type]

    def leave(self) -> None:
        """Nobody waits for what is not told yet."""
        for order in self.starts:
            if not order.records.done():
                order.cancel()


async def _closed(socket: WebSocket, code: int, words: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code, words.encode()[:120].decode(errors="ignore"))
