"""`sam caption`, `sam tag`, `sam ask`, `sam transcribe`, and `sam merge` of their parts"""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import typer

from samcli.cli.destination import Destination
from samcli.cli.flags import (
    CaptionFlags,
    InputFlags,
    ModelFlags,
    Raw,
    SpeakFlags,
    TagFlags,
    TalkFlags,
    WriteFlags,
    spread,
)
from samcli.cli.listen import RunJournal, listen, write_all
from samcli.cli.output import output
from samcli.cli.progress import Progress
from samcli.cli.resolve import as_it_comes, check_stdin, inputs_of, names_sounds, stay_offline
from samcli.errors import ExitCode, ModelError, UsageError


@spread
def caption(flags: CaptionFlags) -> ExitCode:
    """Say in a sentence what is heard.

    sam caption recordings/
    sam caption street.flac --segment 10 -o street.srt
    cat talk.mp3 | sam caption - --refine
    """
    return listen("caption", flags)


@spread
def tag(flags: TagFlags) -> ExitCode:
    """Name the sounds that are heard, with a score for each.

    sam tag recordings/ -o tags.csv
    sam tag *.wav --labels Dog,Siren | awk -F'\\t' '$3 > 0.5'
    sam tag night.flac --timeline -o night.audacity
    """
    return listen("tag", flags)


@spread
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="Question, in quotes.", show_default=False)],
    flags: SpeakFlags,
) -> ExitCode:
    """Answer a question about what is heard.

    sam ask "is there a siren?" street.flac
    sam ask "what happens first?" recordings/ -o answers.csv
    sam ask "how many voices?" talk.mp3 --segment 30
    """
    if not question.strip():
        raise UsageError("The question is empty.")
    if not (flags.paths or flags.files_from or flags.files0_from):
        if names_sounds(question):
            raise UsageError(f'The question is missing: sam ask "is there a siren?" {shlex.quote(question)}')
        raise UsageError(f"Say which sounds the question is about: sam ask {shlex.quote(question)} PATHS")
    return listen("ask", flags, question=question)


@spread
def merge(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Output file; its suffix chooses the format.")],
    parts: Annotated[list[str], typer.Argument(metavar="PARTS...", help="JSON Lines, one file per shard.")],
    flags: TalkFlags,
) -> ExitCode:
    """Put the parts of a sharded run together, and check that none is missing or doubled.

    sam tag corpus/ --shard 1/2 -o part1.jsonl
    sam tag corpus/ --shard 2/2 -o part2.jsonl
    sam merge tags.csv part1.jsonl part2.jsonl
    """
    from samcli.engine.shard import merge as merged
    from samcli.writers.formats import format_of_file

    streams, destination = output(), Destination(out)
    format_of_file(out)  # no --format may stand in for its suffix
    destination.check_file()
    records = merged(parts)
    first = next(records, None)
    task, timed = (first.task, first.end != first.duration) if first else ("tag", False)
    count = 0
    with destination.open(streams, task, timed=timed) as sink:
        for record in chain([first] if first else [], records):
            sink.write(record)
            count += 1
        sink.keep()
    streams.note(f"{count} records of {len(parts)} parts are in {out}.")
    return ExitCode.OK


@dataclass(kw_only=True)
class TranscribeFlags(ModelFlags, InputFlags, WriteFlags):
    raw: Raw = None


@spread
def transcribe(flags: TranscribeFlags) -> ExitCode:
    """Write down what is said, each word with its time, with a speech model of your own.

    sam train speech LibriSpeech/train-clean-100 -o my-speech
    sam transcribe talk.flac --model my-speech -o talk.srt
    sam transcribe talks/ --model my-speech -o talks.jsonl --resume

    sam brings no speech model: for a real transcript use another program.
    sam report and sam subtitle show it beside the sounds (--with-transcript).
    """
    from samcli.checkpoints.catalogue import DEFAULT
    from samcli.engine.options import RunOptions, RunReport
    from samcli.tasks.transcribe import NO_MODEL, load_recogniser
    from samcli.tasks.transcribe import transcribe as transcribed

    streams = output()
    if flags.model == DEFAULT:
        raise ModelError(NO_MODEL)
    check_stdin(streams, flags)
    if flags.dtype not in ("auto", "float32"):
        raise UsageError(f"sam transcribe computes in float32, not in {flags.dtype}.")
    stay_offline(flags)
    inputs = [as_it_comes(item, flags.raw, True) for item in inputs_of(flags)]
    destination = Destination.of(flags)
    destination.check_records(inputs)
    report = RunReport()
    with Progress(streams, report), ExitStack() as stack:
        recogniser: Any = load_recogniser(flags.model, device=flags.device, offline=flags.offline)
        journal = stack.enter_context(RunJournal(destination, "transcribe", recogniser, RunOptions()))
        sink = stack.enter_context(destination.open(streams, "transcribe", inputs, timed=True))
        records = transcribed(inputs, recogniser, report, journal.open, flags.fail_fast)
        write_all(records, sink, streams, destination, report)
        journal.finished = not report.files_failed
    return ExitCode.FAILED if report.files_failed else ExitCode.OK
