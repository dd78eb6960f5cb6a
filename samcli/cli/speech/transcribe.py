"""`sam transcribe`"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import InputFlags, ModelFlags, Raw, WriteFlags, spread
from samcli.cli.output import output
from samcli.errors import ModelError, UsageError


@dataclass(kw_only=True)
class TranscribeFlags(ModelFlags, InputFlags, WriteFlags):
    """For `sam transcribe`."""

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
    from samcli.cli.destination import Destination
    from samcli.cli.engines import stay_offline
    from samcli.cli.listen import RunJournal, as_it_comes, check_stdin, inputs_of, write_all
    from samcli.cli.progress import Progress
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
