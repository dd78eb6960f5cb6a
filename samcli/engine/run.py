"""From inputs to records: decode ahead, compute in batches, keep the journal, put in order.

Every input gives its records or one error record; nothing an input does ends the run. A request that cannot be met at
all (a model without the task, labels it does not know) raises before the first record. `samcli.tasks.run` takes a
task by its name.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace

from samcli.engine.inputs.decode_ahead import DecodeAhead, Job, Known, Watch
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.recorded_at import Clock
from samcli.engine.inputs.sources import EMPTY, pieces_of
from samcli.engine.journal import Journal
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.segments import Done
from samcli.engine.stages import Stages
from samcli.engine.task import Task
from samcli.engine.windows import Cut
from samcli.errors import InputError
from samcli.models.interface import SoundModel
from samcli.records import Record

PATIENCE_SECONDS = 0.2  # without a new window, after which the model takes what there is
AHEAD_BATCHES = 1


def run(
    task: Task,
    inputs: Iterable[Input],
    model: SoundModel,
    options: RunOptions | None = None,
    *,
    journal: Journal | None = None,
    report: RunReport | None = None,
    watch: Watch | None = None,
) -> Iterator[Record]:
    """The records of every input, in the order of the inputs, or with `ordered=False` as they come.

    Inputs that the journal knows are not heard again; finished ones are added to it. The report is kept up to date
    throughout; its notices are complete when the iteration ends. `watch` is shown what is decoded (see `DecodeAhead`).
    """
    options = options or RunOptions()
    report = report if report is not None else RunReport()
    report.files_total = len(inputs) if isinstance(inputs, Sized) else None
    yield from ordered_records(finished(task, inputs, model, options, journal, report, watch), options, journal, report)


def finished(
    task: Task,
    inputs: Iterable[Input],
    model: SoundModel,
    options: RunOptions,
    journal: Journal | None,
    report: RunReport,
    watch: Watch | None = None,
) -> Iterator[Done]:
    """Every input as it is finished."""
    stages = Stages(task, model, options, report)
    how = _cut_for(task, model, options)
    room = AHEAD_BATCHES * stages.hearing.rows_of(how.window_seconds) * how.window_seconds
    count = len(inputs) if isinstance(inputs, Sized) else 0
    decoders = options.decoder_processes(count, os.cpu_count() or 1, stages.device.type)
    with DecodeAhead(
        inputs,
        how,
        threads=options.threads,
        decoders=decoders,
        room_seconds=room,
        journal=journal,
        watch=watch,
        expect=report.expect,
    ) as ahead:
        running = True
        while running:
            try:
                event = ahead.get(PATIENCE_SECONDS)
            except EOFError:
                running, event = False, None
            if event is not None:
                job, news = event
                if isinstance(news, Known):
                    yield Done(job, news.records, known=True)
                    continue
                stages.take(job, news)
            working = True
            while working:
                working = stages.work(flush=event is None)
                while stages.done:
                    yield stages.done.popleft()
    report.notices.extend(stages.notices())


def stream(task: Task, item: Input, model: SoundModel, options: RunOptions) -> Iterator[Record]:
    """The records of one input while it still comes, read and heard by whoever asks for the next; none of nothing.

    Raises InputError where a run gives up the input; a stretch without words is a record with an error.
    """
    for record in ordered_records(_as_it_comes(task, item, model, options), options, None, RunReport()):
        if record.error is not None and record.start is None:
            raise InputError(record.error.message, record.error.type)
        yield record


def _as_it_comes(task: Task, item: Input, model: SoundModel, options: RunOptions) -> Iterator[Done]:
    stages, job = Stages(task, model, options, RunReport()), Job(0, replace(item, flows=True), None)
    how = _cut_for(task, model, options)
    try:
        for event in pieces_of(job.item, how):
            stages.take(job, event)
            while stages.work(flush=True):
                pass
            while stages.done:
                yield stages.done.popleft()
    except InputError as error:
        if error.kind != EMPTY:
            raise


def gathered(
    task: Task, inputs: Iterable[Input], model: SoundModel, options: RunOptions | None = None
) -> Iterator[Done]:
    """What a task gathers of every input, in the order of the inputs."""
    line = _Line(ordered=True)
    for done in finished(task, inputs, model, options or RunOptions(), None, RunReport()):
        yield from line.put(done)


def ordered_records(
    files: Iterator[Done], options: RunOptions, journal: Journal | None, report: RunReport
) -> Iterator[Record]:
    """The records of finished inputs, each kept in the journal when it comes and handed on when its turn is."""
    report.began = time.monotonic()
    line = _Line(options.ordered)
    clock = Clock.of(options.start_time, options.time_zone)
    try:
        for done in files:
            report.files_done += not done.more
            report.files_resumed += done.known
            report.files_failed += any(record.error is not None for record in done.records)
            if journal is not None and not done.known and not done.more:
                journal.append(done.job.key, done.job.item, done.records)
            for ready in line.put(done):
                yield from (replace(record, clock=clock.at(record.path, record.start)) for record in ready.records)
                if options.fail_fast and any(record.error is not None for record in ready.records):
                    return
    finally:
        report.ended = time.monotonic()
        if journal is not None and journal.problem is not None:
            report.notices.append(journal.problem)


def _cut_for(task: Task, model: SoundModel, options: RunOptions) -> Cut:
    window_seconds = options.window_seconds or model.window_seconds
    return Cut(model.sample_rate, window_seconds, options.segment, model.step_seconds, task.each_window)


class _Line:
    """Holds back what is finished before its turn."""

    def __init__(self, ordered: bool) -> None:
        self.ordered = ordered
        self.next = 0
        self.early: dict[int, list[Done]] = {}

    def put(self, done: Done) -> Iterator[Done]:
        if not self.ordered:
            yield done
            return
        self.early.setdefault(done.job.index, []).append(done)
        while self.next in self.early:
            ready = self.early.pop(self.next)
            yield from ready
            if ready[-1].more:
                return
            self.next += 1
