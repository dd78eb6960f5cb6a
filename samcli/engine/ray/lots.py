"""Lots of files for the workers of a cluster, and what is done about workers that die (see `engine`)."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from samcli.engine.inputs.decode_ahead import Job
from samcli.engine.inputs.find import Input
from samcli.engine.journal import Journal
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.segments import Done, error_record
from samcli.engine.task import Task
from samcli.errors import InputError, ModelError, UsageError
from samcli.models.facts import ModelFacts

MOST_TRIES = 2  # deaths of a worker that one file may be held to account for
PATIENCE_SECONDS = 5.0
MOST_DEATHS = 3  # workers that may die one after the other before they have finished anything


class WorkerSource(Protocol):
    """Starts workers on a cluster."""

    ray: Any
    about: ModelFacts

    def start_worker(self) -> Any: ...


class Lots:
    """Which files are still to be heard; shared by the threads that look after the workers."""

    put: Callable[[Done], None]  # where what the journal knows goes

    def __init__(self, inputs: Iterable[Input], lot: int, journal: Journal | None) -> None:
        self.journal = journal
        self.lot = lot
        self.stopped = False
        self._fresh = self._jobs(inputs)
        self._again: deque[Job] = deque()  # what a worker's death left behind
        self._tries: dict[int, int] = {}
        self._busy = 0  # lots under way
        self._changed = threading.Condition()

    def take(self) -> list[Job]:
        """The next lot; empty when all is done. Waits while a lot under way may still come back."""
        with self._changed:
            while not self.stopped:
                if self._again:
                    lot = [self._again.popleft()]  # alone, so that the guilty one is known
                else:
                    lot = [job for _, job in zip(range(self.lot), self._fresh, strict=False)]
                if lot:
                    self._busy += 1
                    return lot
                if not self._busy:
                    self._changed.notify_all()
                    return []
                self._changed.wait()
            return []

    def stop(self) -> None:
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def give_back(self, left: Sequence[Job], died: bool) -> list[Job]:
        """A lot has ended; these of it are not done. Returns those that are given up."""
        with self._changed:
            self._busy -= 1
            hopeless = []
            for job in left:
                self._tries[job.index] = self._tries.get(job.index, 0) + died
                if self._tries[job.index] >= MOST_TRIES:
                    hopeless.append(job)
                else:
                    self._again.append(job)
            self._changed.notify_all()
            return hopeless

    def _jobs(self, inputs: Iterable[Input]) -> Iterator[Job]:
        for index, item in enumerate(inputs):
            if item.source is not None:
                raise UsageError("The engine 'ray' hears files; standard input is for one process.")
            key = self.journal.key(item) if self.journal is not None else None
            known = self.journal.lookup(key, item) if self.journal is not None else None
            if known is None:
                yield Job(index, item, key)
            else:
                self.put(Done(Job(index, item, key), known, known=True))


class WorkerRun:
    """Looks after the workers of one run, a thread for each."""

    def __init__(self, source: WorkerSource, task: Task, options: RunOptions, report: RunReport, lots: Lots) -> None:
        self.source, self.task, self.report, self.lots = source, task, report, lots
        self.options = replace(options, ordered=False, fail_fast=False)  # both are the driver's to keep
        self.results: queue.SimpleQueue[Done | Exception | None] = queue.SimpleQueue()
        lots.put = self.results.put
        self._workers: list[Any] = []
        self._threads: list[threading.Thread] = []
        self._heard, self._deaths = 0, 0
        problems = source.ray.exceptions
        self._fatal = (
            problems.RayActorError,
            problems.WorkerCrashedError,
            problems.NodeDiedError,
            problems.ObjectLostError,
            problems.OutOfMemoryError,
        )

    def finished(self, workers: int) -> Iterator[Done]:
        """Every input as it is finished, by whichever worker."""
        names = [f"worker-{number}" for number in range(workers)]
        self._threads = [threading.Thread(target=self._look_after, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()
        try:
            while workers:
                result = self.results.get()
                if isinstance(result, Exception):
                    raise result
                if result is None:
                    workers -= 1
                else:
                    yield result
        finally:
            self.stop()

    def stop(self) -> None:
        """Let the workers go and the threads end, whether all is done or not."""
        if not self.lots.stopped:
            self.lots.stop()
            for worker in list(self._workers):
                self.source.ray.kill(worker)
            for thread in self._threads:  # none may outlive the connection to the cluster
                thread.join(PATIENCE_SECONDS)

    def _look_after(self) -> None:
        lots, worker = self.lots, None
        try:
            while lot := lots.take():
                if worker is None:
                    worker = self.source.start_worker()
                    self._workers.append(worker)
                left, died = self._hear(worker, lot)
                if lots.stopped:
                    break
                if died:
                    self._kill(worker)
                    worker = None
                for job in lots.give_back(left, died):
                    self.results.put(self._crashed(job))
        except Exception as error:
            self.results.put(error)
        finally:
            if worker is not None and not lots.stopped:
                self._kill(worker)  # its place may be wanted by one that still waits for room
            self.results.put(None)

    def _hear(self, worker: Any, lot: list[Job]) -> tuple[list[Job], bool]:
        """Have a worker hear a lot. Returns what it did not finish, and whether it died."""
        left = dict(enumerate(lot))
        try:
            answers = worker.hear.options(num_returns="streaming").remote(self.task, lot, self.options)
            for answer in answers:
                place, records, seconds = self.source.ray.get(answer)
                self.report.audio_seconds += seconds
                self._heard += 1
                self.results.put(Done(left.pop(place), records))
        except self._fatal as error:
            self._deaths += 1
            if not self._heard and self._deaths >= MOST_DEATHS:
                raise ModelError(f"Workers die before they have heard anything: {error}") from None
            return list(left.values()), True
        except self.source.ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        return list(left.values()), False

    def _kill(self, worker: Any) -> None:
        self._workers.remove(worker)
        self.source.ray.kill(worker)

    def _crashed(self, job: Job) -> Done:
        sentence = f"{job.item.display!r} took down {MOST_TRIES} workers and was set aside."
        about = self.source.about
        record = error_record(job, self.task.name, about.name, about.revision, InputError(sentence, "crash"))
        return Done(job, [record])
