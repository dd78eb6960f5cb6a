"""What caption, tag and ask do: inputs in, records out, and a count of what failed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samcli.cli.destination import Destination, Sink
from samcli.cli.flags import CaptionFlags, ListenFlags, SpeakFlags, TagFlags
from samcli.cli.output import Output, output
from samcli.cli.progress import Progress
from samcli.cli.resolve import (
    as_it_comes,
    check_engine,
    check_stdin,
    inputs_of,
    load_here,
    open_engine,
    read_labels,
    threshold_of,
)
from samcli.errors import ExitCode, UsageError
from samcli.records import Record
from samcli.writers.files import prepare_folder

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input
    from samcli.engine.options import RunOptions, RunReport
    from samcli.engine.shard import Shard
    from samcli.models.facts import ModelFacts
    from samcli.models.interface import SoundModel

CUE_SECONDS = 10.0  # what is heard at once


def listen(task: str, flags: ListenFlags, question: str = "") -> ExitCode:
    """Run one task over everything the flags name."""
    streams = output()
    check_stdin(streams, flags)
    destination = Destination.of(flags)
    options = run_options(flags, destination, question)
    check_engine(flags)
    if task != "tag" and flags.paths and all(path.endswith(".state") for path in flags.paths):
        return recall(streams, task, flags, question)
    early = flags.engine == "local" and (options.segment is not None or options.timeline)
    inputs = [as_it_comes(item, flags.raw, early) for item in inputs_of(flags)]
    if flags.start_time is not None and len(inputs) > 1:
        raise UsageError(f"--start-time is that of one recording, and there are {len(inputs)}.")
    shard = None
    if flags.shard is not None:
        from samcli.engine.shard import Shard

        shard = Shard.parse(flags.shard)
        inputs = shard.select(inputs)
    destination.check_records(inputs)
    return hear(streams, task, flags, destination, inputs, options, shard)


def run_options(flags: ListenFlags, destination: Destination, question: str = "") -> RunOptions:
    """The engine's settings for these flags; UsageError when they cannot be met."""
    from samcli.engine.options import RunOptions

    if flags.batch_size != "auto" and not flags.batch_size.isdecimal():
        raise UsageError(f"--batch-size is a number or auto, not {flags.batch_size!r}.")
    if flags.decoders != "auto" and not flags.decoders.isdecimal():
        raise UsageError(f"--decoders is a number or auto, not {flags.decoders!r}.")
    more: dict[str, Any] = {}
    if isinstance(flags, TagFlags):
        more = {"top_k": flags.top_k, "threshold": threshold_of(flags.threshold), "timeline": flags.timeline}
        more["all_events"] = flags.all_events
        more["labels"] = read_labels(flags.labels)
    elif isinstance(flags, SpeakFlags):
        more = {"max_new_tokens": flags.max_new_tokens, "beams": flags.beams, "question": question}
    if isinstance(flags, CaptionFlags):
        more |= {"refine": flags.refine or flags.refine_with is not None, "refine_with": flags.refine_with or ""}
    return RunOptions(
        segment=segment_of(flags, destination),
        seed=flags.seed,
        batch_size="auto" if flags.batch_size == "auto" else int(flags.batch_size),
        threads=flags.threads,
        decoders="auto" if flags.decoders == "auto" else int(flags.decoders),
        ordered=not flags.unordered,
        fail_fast=flags.fail_fast,
        start_time=flags.start_time,
        time_zone=flags.time_zone,
        **more,
    )


def segment_of(flags: ListenFlags, destination: Destination) -> float | None:
    """Seconds of each record; where times are all that a format has, one cue for a whole recording helps nobody."""
    timeline = isinstance(flags, TagFlags) and flags.timeline
    chosen = destination.record_format()
    if flags.segment is not None or timeline or chosen is None or not chosen.one_recording:
        return flags.segment
    return CUE_SECONDS


def makes_subtitles(flags: ListenFlags, destination: Destination, options: RunOptions) -> bool:
    """Whether records are to be made easy to read; who names a length or asks for all gets just that."""
    chosen = destination.record_format()
    return chosen is not None and chosen.subtitles and flags.segment is None and not options.all_events


def hear(
    streams: Output,
    task: str,
    flags: ListenFlags,
    destination: Destination,
    inputs: Sequence[Input],
    options: RunOptions,
    shard: Shard | None = None,
) -> ExitCode:
    """Load the model, run, write."""
    from samcli.engine.options import RunReport
    from samcli.engine.workers.crew import Workers
    from samcli.tasks.run import run, task_for

    report = RunReport()
    timed = options.segment is not None or options.timeline
    with Progress(streams, report), ExitStack() as stack:
        model = stack.enter_context(open_engine(flags, inputs))
        about = model.about if isinstance(model, Workers) else model
        task_for(task, about, options)  # what it cannot do is refused before an earlier journal goes
        journal = stack.enter_context(RunJournal(destination, task, about, options))
        records = run(task, inputs, model, options, journal=journal.open, report=report)
        stack.callback(records.close)  # type: ignore[attr-defined]
        if makes_subtitles(flags, destination, options):
            from samcli.tasks.readable import cues

            records = cues(records)
        sink = stack.enter_context(destination.open(streams, task, inputs, timed=timed))
        write_all(records, sink, streams, destination, report)
        journal.finished = not report.files_failed
        if shard is not None:
            journal.mark(shard, len(inputs))
    for notice in report.notices:
        streams.note(notice)
    if destination.kept and streams.stderr_is_terminal:
        failed = f", {report.files_failed} failed" if report.files_failed else ""
        streams.note(f"{report.files_done} files{failed}; the records are in {destination.kept}.")
    streams.detail(
        f"{report.files_done} files, {report.audio_seconds:.0f} s of audio in {report.elapsed:.1f} s; "
        f"the model computed {report.model_share:.0%} of that time; "
        f"{report.files_resumed} files were known from an earlier run."
    )
    return ExitCode.FAILED if report.files_failed else ExitCode.OK


class RunJournal:
    """The journal of a run that writes to disk: an earlier one is taken up or thrown away, a finished one tidied up."""

    def __init__(
        self, destination: Destination, task: str, model: SoundModel | ModelFacts, options: RunOptions
    ) -> None:
        from samcli.engine.journal import Journal, fingerprint, journal_path, kindred

        self.open: Journal | None = None
        self.finished = False
        self._destination = destination
        name = destination.kept
        if name is not None:
            if destination.is_folder:
                prepare_folder(Path(name))
            self.path = Path(journal_path(name))
            if not destination.resume and os.path.lexists(self.path):
                # Opened first, because it refuses while another run is writing it.
                Journal(self.path, "").close()
                self.path.unlink()
            self._settings = fingerprint(task, model, options)
            self.open = Journal(self.path, self._settings, kindred(name) if destination.resume else ())

    def mark(self, shard: Shard, inputs: int) -> None:
        """Leave word beside a shard's file for `sam merge`."""
        from samcli.engine.shard import Mark, write_mark

        name = self._destination.kept
        if name is not None and not self._destination.is_folder:
            write_mark(name, Mark(shard.index, shard.count, inputs, self._settings))

    def __enter__(self) -> RunJournal:
        return self

    def __exit__(self, *error: object) -> None:
        if self.open is not None:
            self.open.close()
            # With --resume it stays, so that another format or more inputs cost nothing.
            if self.finished and not self._destination.resume:
                with suppress(OSError):
                    self.path.unlink()


def write_all(
    records: Iterable[Record], sink: Sink, streams: Output, destination: Destination, report: RunReport
) -> None:
    """Write and keep all records; of a run that is stopped, those that were made."""
    try:
        for record in records:
            sink.write(record)
            tell(streams, record, sink.shows_failures)
    except KeyboardInterrupt:
        sink.keep()
        streams.farewell = farewell(destination, report)
        raise
    sink.keep()


def tell(streams: Output, record: Record, shown: bool) -> None:
    """Say on standard error what failed or is doubtful, unless the table on the same terminal shows it."""
    if record.error is not None and not shown:
        streams.error(named(record.path, record.error.message))
    elif record.warning is not None and not shown:
        streams.note(named(record.path, record.warning))


def named(path: str, message: str) -> str:
    """A message that names its file."""
    return message if path in message else f"{path}: {message}"


def farewell(destination: Destination, report: RunReport) -> str:
    """The one line a person sees who stopped a run."""
    done = f"stopped after {report.files_done} of {report.files_total} files"
    if destination.kept:
        return f"{done}; they are in {destination.kept}, and the same command with --resume goes on."
    return f"{done}."


def recall(streams: Output, task: str, flags: ListenFlags, question: str) -> ExitCode:
    """A record for each state; nothing is heard again."""
    from samcli.engine.inputs.find import find_inputs
    from samcli.live.state import read_state
    from samcli.live.state import recall as recalled

    if flags.segment is not None:
        raise UsageError("A state is of all that was heard, and has no segments: leave out --segment.")
    inputs: list[Input] = find_inputs(flags.paths or [])
    destination = Destination.of(flags)
    destination.check_records(inputs)
    states = [(item.display, read_state(item.path)) for item in inputs]
    model = load_here(flags)
    streams.clear_status()
    with destination.open(streams, task, inputs) as sink:
        for path, state in states:
            sink.write(recalled(task, state, path, model, question))
        sink.keep()
    return ExitCode.OK
