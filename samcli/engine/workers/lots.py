"""Which files of a run are still to be heard, shared out among workers that may die.

What a worker leaves behind is tried again, now each file alone and by another worker where there is one: a file that
takes down its second worker is poisonous and given up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from samcli.engine.inputs.decode_ahead import Job
from samcli.engine.inputs.find import Input
from samcli.engine.journal import Journal
from samcli.engine.segments import Done
from samcli.errors import UsageError

MOST_TRIES = 2  # deaths of a worker that one file may be held to account for


class Lots:
    """Asked by the threads that look after the workers."""

    put: Callable[[Done], None]  # where what the journal knows goes

    def __init__(self, inputs: Iterable[Input], lot: int, journal: Journal | None) -> None:
        self.journal = journal
        self.lot = lot
        self.stopped = False
        self.takers: set[str] = set()  # workers that may still take something
        self._fresh = self._jobs(inputs)
        self._again: deque[Job] = deque()  # what a worker's death left behind
        self._tries: dict[int, int] = {}
        self._last: dict[int, str] = {}  # whose death that was
        self._busy = 0  # lots under way
        self._changed = threading.Condition()

    def take(self, taker: str = "") -> list[Job]:
        """The next lot; empty when all is done. Waits while a lot under way may still come back."""
        with self._changed:
            while not self.stopped:
                lot = self._next_again(taker) or self._next_fresh()
                if lot:
                    self._busy += 1
                    return lot
                if not self._busy and not self._again:
                    self._changed.notify_all()
                    return []
                self._changed.wait()
            return []

    def take_fresh(self) -> list[Job]:
        """A lot that was never tried, if there is one, at once: for a worker that has others under way."""
        with self._changed:
            lot = [] if self.stopped else self._next_fresh()
            self._busy += bool(lot)
            return lot

    def tried(self, job: Job) -> bool:
        """Whether a worker died with this one before: then it is to be heard alone, so that the guilty one is known."""
        with self._changed:
            return job.index in self._tries

    def leave(self, taker: str) -> None:
        """This worker takes nothing more."""
        with self._changed:
            self.takers.discard(taker)
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def give_back(self, left: Sequence[Job], died: bool, taker: str = "") -> list[Job]:
        """A lot has ended; these of it are not done. Returns those that are given up."""
        with self._changed:
            self._busy -= 1
            hopeless = []
            for job in left:
                if died:
                    self._tries[job.index] = self._tries.get(job.index, 0) + 1
                    self._last[job.index] = taker
                if self._tries.get(job.index, 0) >= MOST_TRIES:
                    hopeless.append(job)
                else:
                    self._again.append(job)
            self._changed.notify_all()
            return hopeless

    def _next_again(self, taker: str) -> list[Job]:
        others = self.takers - {taker}
        for job in self._again:
            if not others or self._last.get(job.index) != taker:
                self._again.remove(job)
                return [job]
        return []

    def _next_fresh(self) -> list[Job]:
        return [job for _, job in zip(range(self.lot), self._fresh, strict=False)]

    def _jobs(self, inputs: Iterable[Input]) -> Iterator[Job]:
        for index, item in enumerate(inputs):
            if item.source is not None:
                raise UsageError("Several workers hear files; standard input is for one process.")
            key = self.journal.key(item) if self.journal is not None else None
            known = self.journal.lookup(key, item) if self.journal is not None else None
            if known is None:
                yield Job(index, item, key)
            else:
                self.put(Done(Job(index, item, key), known, known=True))
