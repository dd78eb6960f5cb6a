"""Threads that read sound ahead of the model, within a fixed amount of memory.

Each thread opens one input at a time and hands on its windows as they are decoded, by itself or by a process of its
own (`decoders`); the inputs are opened in order. The windows of all files share one bounded room, so a thread that is
far ahead waits. Whatever goes wrong with an input becomes an event of that input: no exception of a thread is ever
lost, and none stops the others.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from samcli.engine.inputs.decoder import Decoder, supported
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import Ended, input_error, pieces_of
from samcli.engine.journal import Journal
from samcli.engine.windows import Cut, Piece
from samcli.records import Record

MOST_THREADS = 8


@dataclass(frozen=True, eq=False)
class Job:
    """One input under way."""

    index: int  # place in the run
    item: Input
    key: bytes | None  # in the journal, as the file was before it was read


@dataclass(frozen=True)
class Failed:
    """An input cannot be heard."""

    kind: str
    message: str


@dataclass(frozen=True)
class Known:
    """The journal has the records already."""

    records: list[Record]


Event = tuple[Job, Piece | Ended | Failed | Known]
Watch = Callable[[Input, Piece], None]


class DecodeAhead:
    """The events of all inputs; of one input they come in order."""

    def __init__(
        self,
        inputs: Iterable[Input],
        how: Cut,
        threads: int = 0,
        decoders: int = 0,
        *,
        room_seconds: float = 120.0,
        journal: Journal | None = None,
        watch: Watch | None = None,
        expect: Callable[[float | None], None] = lambda seconds: None,
    ) -> None:
        """`watch` is shown every window as it is decoded, in the thread that reads its input; `expect` is told how long
        each input says it lasts, when it is opened."""
        self.how = how
        self.watch, self.expect = watch, expect
        self.journal = journal
        self._room = room_seconds * how.rate  # samples that may wait
        self._held = 0  # samples that wait
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._broken: BaseException | None = None  # the list of inputs itself failed
        self._jobs = self._enumerate(inputs)
        self._taking = threading.Lock()
        decoders = decoders if supported() else 0
        self._apart = bool(decoders)  # each thread has a process that decodes for it
        count = decoders or threads or min(os.cpu_count() or 1, MOST_THREADS)
        self._running = count
        for number in range(count):
            threading.Thread(target=self._work, name=f"decode-{number}", daemon=True).start()

    def __enter__(self) -> DecodeAhead:
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._stopped = True
            self._events.clear()
            self._changed.notify_all()

    def get(self, patience: float) -> Event | None:
        """The next event; None when none came in `patience` seconds. Raises EOFError after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or not self._running, patience)
            if self._events:
                event = self._events.popleft()
                self._held -= _size(event)
                self._changed.notify_all()
                return event
            if self._running:
                return None
            if self._broken is not None:
                raise self._broken
            raise EOFError

    def _enumerate(self, inputs: Iterable[Input]) -> Iterator[Job]:
        for index, item in enumerate(inputs):
            yield Job(index, item, self.journal.key(item) if self.journal is not None else None)

    def _work(self) -> None:
        decoder = Decoder(self.how) if self._apart else None
        try:
            while not self._stopped:
                with self._taking:
                    job = next(self._jobs, None)
                if job is None:
                    break
                self._hear(job, decoder)
        except _Stopped:
            pass
        except BaseException as error:
            self._broken = error
        finally:
            if decoder is not None:
                decoder.close()
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _put(self, event: Event) -> None:
        size = _size(event)
        with self._changed:
            # A window larger than the whole room may enter an empty one.
            self._changed.wait_for(lambda: self._stopped or not self._held or self._held + size <= self._room)
            if self._stopped:
                raise _Stopped
            self._events.append(event)
            self._held += size
            self._changed.notify_all()

    def _hear(self, job: Job, decoder: Decoder | None) -> None:
        known = self.journal.lookup(job.key, job.item) if self.journal is not None else None
        if known is not None:
            self._put((job, Known(known)))
        elif job.item.problem is not None:
            self._put((job, Failed(*job.item.problem)))
        else:
            self._put((job, self._read(job, decoder)))

    def _read(self, job: Job, decoder: Decoder | None) -> Ended | Failed:
        item = job.item
        if decoder is not None and item.source is None and item.raw is None and not item.flows:
            events = decoder.pieces_of(item)
        else:
            events = pieces_of(item, self.how, self.expect)
        try:
            with closing(events):
                for event in events:
                    if isinstance(event, Ended):
                        return event
                    if self.watch is not None:
                        self.watch(job.item, event)
                    self._put((job, event))
        except _Stopped:
            raise
        except Exception as error:
            failure = input_error(error, job.item)
            return Failed(failure.kind, failure.message)
        raise AssertionError("an input ends or fails")


class _Stopped(Exception):
    """The run is over; the thread may go."""


def _size(event: Event) -> int:
    return len(event[1].wave) if isinstance(event[1], Piece) else 0
