"""One run on several devices of this machine: a process for each, that asks for files as fast as it hears them.

The parent walks the inputs, keeps the journal and puts records in order, as a run in one process does. A process that
dies loses what it was hearing, not what it has sent: that is tried again, each file alone, by another. A device on
which no process starts, or none gets anywhere, is set aside, and the run goes on with the others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from samcli.engine.inputs.decode_ahead import MOST_THREADS, Job
from samcli.engine.inputs.find import Input
from samcli.engine.journal import Journal
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.segments import Done
from samcli.engine.task import Task
from samcli.engine.workers.crew import Crew, Lots, Workers
from samcli.engine.workers.process import Died, Load, Process
from samcli.errors import DeviceError
from samcli.records import Record

MOST_DEATHS = 3  # of a device's processes, one after the other, none of which has finished anything


class DeviceWorkers(Workers):
    """A process for each device. A context manager; `about` is known once it is entered."""

    def __init__(self, load: Load, places: Sequence[str]) -> None:
        """`load` is sent to the processes: a function of a module, or a partial of one."""
        self.load = load
        self.places = [f"{place} ({places[:at].count(place) + 1})" for at, place in enumerate(places)]
        self.unused: list[str] = []  # why devices were set aside, for people
        self._open: set[Process] = set()
        self._waiting: dict[str, Process] = {}  # that are ready, and have nothing to do yet
        self._lock = threading.Lock()
        self._left = False

    def __enter__(self) -> DeviceWorkers:
        try:
            # One process is enough to begin with, and to fetch a model that is not here yet.
            while not self._waiting:
                try:
                    process = self.start(self.places[0])
                except Died as death:
                    self.set_aside(self.places[0], str(death))
                else:
                    self.about, self._waiting[self.places[0]] = process.about, process
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._left = True
        for process in list(self._open):
            self.close(process)

    def start(self, place: str) -> Process:
        """A process that has loaded the model."""
        with self._lock:
            waiting = self._waiting.pop(place, None)
            if waiting is not None:
                return waiting
            if self._left:
                raise Died("the run is over")
            device = place.split()[0]
            process = Process(self.load, device, self._threads() if device.startswith("cpu") else 0)
            self._open.add(process)
        try:
            (_, process.about) = process.receive()
        except BaseException:
            self.close(process)
            raise
        return process

    def _threads(self) -> int:
        """Cores that a process may compute on."""
        import torch

        return max(1, torch.get_num_threads() // len(self.places))

    def close(self, process: Process) -> None:
        process.close()
        with self._lock:
            self._open.discard(process)

    def kill_all(self) -> None:
        with self._lock:
            for process in self._open:
                process.kill()

    def set_aside(self, place: str, reason: str) -> str:
        """Go on without a device; the sentence that says so."""
        with self._lock:
            self.places.remove(place)
            self.unused.append(f"{place.split()[0]} was set aside: {reason.rstrip('.')}.")
            if not self.places:
                raise DeviceError(" ".join(self.unused))
            return self.unused[-1]

    def crew(
        self, task: Task, inputs: Iterable[Input], options: RunOptions, journal: Journal | None, report: RunReport
    ) -> tuple[Crew, Sequence[str]]:
        report.notices.extend(self.unused)
        count, cores = len(self.places), os.cpu_count() or 1
        decoders = options.decoder_processes(report.files_total or 0, cores, self.places[0].partition(":")[0])
        threads = options.threads or max(1, min(cores // count, MOST_THREADS))
        options = replace(options, decoders=-(-decoders // count), threads=threads)
        return DeviceCrew(self, task, options, report, Lots(inputs, 1, journal)), self.places


class DeviceCrew(Crew):
    """The processes of one run ask for files; a thread for each hands them out."""

    def __init__(self, workers: DeviceWorkers, task: Task, options: RunOptions, report: RunReport, lots: Lots) -> None:
        super().__init__(workers.about, task, options, report, lots)
        self.workers, self.count = workers, len(workers.places)
        self._lock = threading.Lock()

    def kill_all(self) -> None:
        self.workers.kill_all()

    def look_after(self, name: str) -> None:
        process: Process | None = None
        deaths = 0
        while lot := self.lots.take(name):
            [job] = lot
            try:
                process = process or self._begun(name)
            except Died as death:  # no file is to blame
                self.lots.give_back(lot, False, name)
                return self._set_aside(name, str(death))
            again = self.lots.tried(job)
            left, reason = self._hear(process, job, name, alone=again)
            for gone in left:
                for hopeless in self.lots.give_back([gone], True, name):
                    self.results.put(self.crashed(hopeless))
            if self.lots.stopped:
                return None
            if reason:
                self.workers.close(process)
                deaths = 0 if process.heard else deaths + (not again)  # a file that killed before may do it again
                process = None
                if deaths >= MOST_DEATHS:
                    return self._set_aside(name, reason)
        if process is not None:
            self._end(process)
        return None

    def _begun(self, place: str) -> Process:
        process = self.workers.start(place)
        process.send((self.task, self.options))
        return process

    def _hear(self, process: Process, job: Job, name: str, alone: bool) -> tuple[list[Job], str]:
        """Until nothing is under way. Returns what was, and why it died, if it did."""
        left: dict[int, Job] = {}

        def hand(job: Job) -> None:
            left[process.sent] = job
            process.sent += 1
            process.wanted -= 1
            process.send(job.item)

        try:
            hand(job)
            while left:
                kind, *values = process.receive()
                if kind == "want":
                    process.wanted += 1
                elif kind == "expect":
                    self.report.expect(*values)
                else:
                    self._take(left.pop(values[0]), *values[1:])
                    process.heard += 1
                    self.lots.give_back([], False, name)
                while not alone and process.wanted > 0 and (more := self.lots.take_fresh()):
                    hand(more[0])
        except Died as death:
            return list(left.values()), str(death)
        return [], ""

    def _take(self, job: Job, records: list[Record], seconds: float, computed: float) -> None:
        with self._lock:
            self.report.audio_seconds += seconds
            self.report.model_seconds += computed / self.count  # a device's share of the time, on average
        self.results.put(Done(job, records))

    def _end(self, process: Process) -> None:
        """What it has to say when all is done."""
        with suppress(Died):
            process.send(None)
            message = process.receive()
            while message[0] != "end":
                message = process.receive()
            with self._lock:
                self.report.notices += [words for words in message[1] if words not in self.report.notices]

    def _set_aside(self, place: str, reason: str) -> None:
        if not self.lots.stopped:
            self.report.notices.append(self.workers.set_aside(place, reason))
