"""Looks after the workers of one run, a thread for each, wherever they are.

What a worker leaves behind when it dies is tried again, now each file alone and by another worker where there is one: a
file that takes down its second worker is poisonous and given up.
"""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import replace

from samcli.engine.inputs.decode_ahead import Job
from samcli.engine.inputs.find import Input
from samcli.engine.journal import Journal
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.segments import Done, error_record
from samcli.engine.task import Task
from samcli.errors import InputError, UsageError
from samcli.models.facts import ModelFacts
from samcli.records import Record

MOST_TRIES = 2  # deaths of a worker that one file may be held to account for
PATIENCE_SECONDS = 5.0


class Lots:
    """Which files are still to be heard: asked by the threads that look after the workers."""

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


class Workers(ABC):
    """Stand in for a model that is here; `about` tells what they hear with."""

    about: ModelFacts

    def run(
        self,
        task: Task,
        inputs: Iterable[Input],
        options: RunOptions,
        *,
        journal: Journal | None = None,
        report: RunReport | None = None,
    ) -> Iterator[Record]:
        """Like `engine.run.run`, on all workers."""
        from samcli.engine.run import ordered_records

        report = report if report is not None else RunReport()
        report.files_total = len(inputs) if isinstance(inputs, Sized) else None
        crew, names = self.crew(task, inputs, options, journal, report)
        return ordered_records(crew.finished(names), options, journal, report)

    @abstractmethod
    def crew(
        self, task: Task, inputs: Iterable[Input], options: RunOptions, journal: Journal | None, report: RunReport
    ) -> tuple[Crew, Sequence[str]]:
        """Who hears one run, and the workers' names."""


class Crew(ABC):
    """The workers of one run."""

    def __init__(self, about: ModelFacts, task: Task, options: RunOptions, report: RunReport, lots: Lots) -> None:
        self.about, self.task, self.report, self.lots = about, task, report, lots
        self.options = replace(options, ordered=False, fail_fast=False)  # both are the driver's to keep
        self.results: queue.SimpleQueue[Done | Exception | None] = queue.SimpleQueue()
        lots.put = self.results.put
        self._threads: list[threading.Thread] = []

    def finished(self, names: Sequence[str]) -> Iterator[Done]:
        """Every input as it is finished, by whichever worker."""
        self._threads = [threading.Thread(target=self._guarded, args=[name], name=name, daemon=True) for name in names]
        self.lots.takers.update(names)
        for thread in self._threads:
            thread.start()
        working = len(names)
        try:
            while working:
                result = self.results.get()
                if isinstance(result, Exception):
                    raise result
                if result is None:
                    working -= 1
                else:
                    yield result
        finally:
            self.stop()

    def stop(self) -> None:
        """Let the workers go and the threads end, whether all is done or not."""
        if not self.lots.stopped:
            self.lots.stop()
            self.kill_all()
            for thread in self._threads:  # none may outlive what it looks after
                thread.join(PATIENCE_SECONDS)

    def _guarded(self, name: str) -> None:
        try:
            self.look_after(name)
        except Exception as error:
            self.results.put(error)
        finally:
            self.lots.leave(name)
            self.results.put(None)

    def crashed(self, job: Job) -> Done:
        sentence = f"{job.item.display!r} took down {MOST_TRIES} workers and was set aside."
        about, error = self.about, InputError(sentence, "crash")
        return Done(job, [error_record(job, self.task.name, about.name, about.revision, error)])

    @abstractmethod
    def look_after(self, name: str) -> None:
        """Have files heard by one worker, and by another in its place when it dies, until there are none."""

    @abstractmethod
    def kill_all(self) -> None:
        """At once."""
