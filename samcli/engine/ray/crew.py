"""The workers of a cluster that hear one run: each is handed lots of files."""

from __future__ import annotations

from typing import Any, Protocol

from samcli.engine.inputs.decode_ahead import Job
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.segments import Done
from samcli.engine.task import Task
from samcli.engine.workers.crew import Crew
from samcli.engine.workers.lots import Lots
from samcli.errors import ModelError
from samcli.models.facts import ModelFacts

MOST_DEATHS = 3  # workers that may die one after the other before they have finished anything


class WorkerSource(Protocol):
    """Starts workers on a cluster."""

    ray: Any
    about: ModelFacts

    def start_worker(self) -> Any: ...


class RayCrew(Crew):
    def __init__(self, source: WorkerSource, task: Task, options: RunOptions, report: RunReport, lots: Lots) -> None:
        super().__init__(source.about, task, options, report, lots)
        self.source = source
        self._workers: list[Any] = []
        self._heard, self._deaths = 0, 0
        problems = source.ray.exceptions
        self._fatal = (
            problems.RayActorError,
            problems.WorkerCrashedError,
            problems.NodeDiedError,
            problems.ObjectLostError,
            problems.OutOfMemoryError,
        )

    def kill_all(self) -> None:
        for worker in list(self._workers):
            self.source.ray.kill(worker)

    def look_after(self, name: str) -> None:
        lots, worker = self.lots, None
        try:
            while lot := lots.take(name):
                if worker is None:
                    worker = self.source.start_worker()
                    self._workers.append(worker)
                left, died = self._hear(worker, lot)
                if lots.stopped:
                    break
                if died:
                    self._kill(worker)
                    worker = None
                for job in lots.give_back(left, died, name):
                    self.results.put(self.crashed(job))
        finally:
            if worker is not None and not lots.stopped:
                self._kill(worker)  # its place may be wanted by one that still waits for room

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
