"""Looks after the workers of one run, a thread for each, wherever they are."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from samcli.engine.inputs.decode_ahead import Job
from samcli.engine.inputs.find import Input
from samcli.engine.journal import Journal
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.segments import Done, error_record
from samcli.engine.task import Task
from samcli.engine.workers.lots import MOST_TRIES, Lots
from samcli.errors import InputError
from samcli.models.facts import ModelFacts
from samcli.records import Record

PATIENCE_SECONDS = 5.0


class Workers(ABC):
    """Stand in for a model that is here; `about` tells what they hear with."""

    about: ModelFacts

    @abstractmethod
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
