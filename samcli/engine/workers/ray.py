"""The same run on many machines: workers of a Ray cluster, each with a model of its own, that are handed files in lots.

The driver walks the inputs, keeps the journal and puts records in order, as a run in one process does; a worker hears
its lot with the engine of one process and sends back each file as it is finished. When a worker dies, what it had not
sent back is tried again, now each file alone: a file that takes down its second worker is poisonous and set aside
with an error record, and the others have lost nothing but time. Workers open the files themselves, so all machines
must see the same paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from samcli.engine.allocator import keep_freed_memory
from samcli.engine.inputs.decode_ahead import Job
from samcli.engine.inputs.find import Input
from samcli.engine.journal import Journal
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.segments import Done
from samcli.engine.task import Task
from samcli.engine.workers.crew import Crew, Lots, Workers
from samcli.errors import ModelError, UsageError
from samcli.models.facts import ModelFacts
from samcli.records import Record

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel


MOST_DEATHS = 3  # workers that may die one after the other before they have finished anything


class RayCrew(Crew):
    def __init__(self, source: RayWorkers, task: Task, options: RunOptions, report: RunReport, lots: Lots) -> None:
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


MOST_IN_LOT = 256  # files: enough for full batches, little enough to spread and to repeat
LOTS_PER_WORKER = 8  # of a run whose length is known, so that the last ones end together


class Worker:
    """Lives in a process of the cluster."""

    def __init__(self, load: Callable[[], SoundModel]) -> None:
        import torch

        torch.set_num_threads(1)  # of the one core it asks the cluster for
        keep_freed_memory()
        self.load = load
        self.model: SoundModel | None = None

    def about(self) -> ModelFacts:
        model = self.model = self.model or self.load()
        return ModelFacts.of(model)

    def hear(self, task: Task, lot: Sequence[Job], options: RunOptions) -> Iterator[tuple[int, list[Record], float]]:
        """(place in the lot, records, seconds of audio) of each file, as it is finished."""
        from samcli.engine.run import finished

        self.about()
        assert self.model is not None
        report = RunReport()
        heard = 0.0
        if options.decoders == "auto":  # the machine's other cores belong to other workers
            options = replace(options, decoders=0)
        for done in finished(task, [job.item for job in lot], self.model, options, None, report):
            yield done.job.index, done.records, report.audio_seconds - heard
            heard = report.audio_seconds


class RayWorkers(Workers):
    """The workers of a run. A context manager; `about` is known once it is entered."""

    def __init__(
        self,
        load: Callable[[], SoundModel],
        *,
        address: str | None = None,
        workers: int | None = None,
        gpus_per_worker: float = 0.0,
    ) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError("The engine 'ray' is not installed: pip install 'samcli[ray]'.") from None
        if workers is not None and workers < 1:
            raise UsageError(f"--workers must be at least 1, not {workers}.")
        self.ray: Any = ray
        self.load = load
        self.address, self.wanted = address, workers
        self.gpus = gpus_per_worker
        self._owned = False
        self._runs: list[RayCrew] = []
        self._first: Any = None  # the worker that told about the model

    def __enter__(self) -> RayWorkers:
        if not self.ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            more: dict[str, Any] = {} if self.address else {"include_dashboard": False}
            try:
                self.ray.init(self.address or "local", log_to_driver=False, logging_level="ERROR", **more)
            except (ConnectionError, OSError, ValueError, RuntimeError) as error:
                raise UsageError(f"The Ray cluster cannot be reached: {error}") from None
            self._owned = True
        try:
            self._first = self.start_worker()
            self.about = self.ray.get(self._first.about.remote())
        except self.ray.exceptions.RayActorError as error:
            self._leave()
            raise ModelError(f"The worker died when it loaded the model: {error}") from None
        except self.ray.exceptions.RayTaskError as error:
            self._leave()
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._leave()

    def _leave(self) -> None:
        for run in self._runs:
            run.stop()
        if self._first is not None:
            self.ray.kill(self._first)
            self._first = None
        if self._owned:
            self.ray.shutdown()
            self._owned = False

    def start_worker(self) -> Any:
        """A new worker, on whichever machine has room."""
        worker, self._first = self._first, None
        if worker is not None:
            return worker
        kind = self.ray.remote(num_cpus=1, num_gpus=self.gpus, scheduling_strategy="SPREAD")(Worker)
        return kind.remote(self.load)

    def size(self) -> int:
        """How many workers the cluster has room for, or as many as were asked for."""
        if self.wanted is not None:
            return self.wanted
        there = self.ray.cluster_resources()
        room = there.get("GPU", 0) / self.gpus if self.gpus else there.get("CPU", 1)
        return max(1, int(room))

    def crew(
        self, task: Task, inputs: Iterable[Input], options: RunOptions, journal: Journal | None, report: RunReport
    ) -> tuple[Crew, Sequence[str]]:
        workers = self.size()
        lot = MOST_IN_LOT
        if report.files_total is not None:
            lot = max(1, min(MOST_IN_LOT, report.files_total // (workers * LOTS_PER_WORKER)))
        crew = RayCrew(self, task, options, report, Lots(inputs, lot, journal))
        self._runs.append(crew)
        return crew, [f"worker-{number}" for number in range(workers)]
