"""Speech as lines of words: each recording is read block by block, and the model's state goes along.

A line ends where the speaker pauses, or where it would no longer fit into two lines of a subtitle. It is told when the
next one begins, so a stream is told while it comes, and memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import Reader, input_error, open_input
from samcli.engine.journal import Journal
from samcli.engine.options import RunReport
from samcli.errors import InputError, ModelError
from samcli.records import ErrorInfo, Record, Word

if TYPE_CHECKING:
    from samcli.engine.windows import Wave
    from samcli.models.speech import Recogniser

RATE = 16_000
PAUSE_SECONDS = 0.8
SHORTEST_SECONDS = 0.04  # of a word
LINE_SECONDS = 6.0
LINE_CHARACTERS = 84  # two lines of a subtitle

NO_MODEL = (
    "sam brings no speech model. For a real transcript use another program, and show what it wrote beside the sounds: "
    "`sam report FILE --with-transcript FILE.srt`. A model of your own (`sam train speech`) is named by --model FOLDER."
)


def load_recogniser(name: str, *, device: str = "auto", offline: bool = False) -> Recogniser:
    """The model behind a folder or a Hub id."""
    from samcli.checkpoints.loading import ModelFiles, locate, refetch_if_damaged
    from samcli.checkpoints.modules import load_folder
    from samcli.models.device import pick_device
    from samcli.models.speech import Recogniser
    from samcli.ssm.fast.linear import accelerate

    place = pick_device(device)

    def load(at: ModelFiles) -> Recogniser:
        import torch

        loaded = load_folder(at.folder, dtype=torch.float32, device=place)
        if loaded.kind != "speech":
            raise ModelError(f"{at.name} hears sounds and writes no words down. {NO_MODEL}")
        network: Any = loaded.module
        accelerate(network)
        return Recogniser(network, at.name, at.revision)

    return refetch_if_damaged(locate(name, offline=offline), load, offline=offline)


def transcribe(
    inputs: Sequence[Input],
    recogniser: Recogniser,
    report: RunReport | None = None,
    journal: Journal | None = None,
    fail_fast: bool = False,
) -> Iterator[Record]:
    """At least one record for every input, in order; what fails is told and stops none of the others."""
    report = report or RunReport()
    report.files_total = len(inputs)
    for item in inputs:
        key = journal.key(item) if journal is not None else None
        known = journal.lookup(key, item) if journal is not None else None
        records: list[Record] = []
        for record in _lines(item, recogniser, report) if known is None else known:
            if key is not None:
                records.append(record)
            yield record
        failed = known is None and record.error is not None
        report.files_failed += failed
        report.files_resumed += known is not None
        report.files_done += 1
        if journal is not None and known is None and not failed:
            journal.append(key, item, records)
        if failed and fail_fast:
            return


def _lines(item: Input, recogniser: Recogniser, report: RunReport) -> Iterator[Record]:
    """One recording's records; the last one knows how it ended."""
    about: dict[str, Any] = {
        "task": "transcribe",
        "path": item.display,
        "model": recogniser.name,
        "revision": recogniser.revision,
    }

    def record(words: Sequence[Word], **more: Any) -> Record:
        start, end = (words[0].start, words[-1].end) if words else (0.0, more["duration"])
        text = " ".join(word.text for word in words)
        return Record(**{**about, "start": start, "end": end, "transcript": text, "words": tuple(words), **more})

    try:
        if item.problem is not None:
            raise InputError(item.problem[1], item.problem[0])
        with open_input(item, RATE) as reader:
            report.expect(reader.duration)
            heard = Heard(reader, report)
            waiting: list[Word] = []
            for line in lines(recogniser.words(heard)):
                if waiting:
                    yield record(waiting, duration=reader.duration, covered=waiting[-1].end)
                waiting = line
            if not heard.samples:
                raise InputError(f"{item.display!r} holds no sound.", "empty")
            duration = reader.covered if reader.duration is None else reader.duration
            last = [within(word, duration) for word in waiting]
            yield record(last, duration=duration, covered=reader.covered, warning=reader.warning)
    except Exception as error:
        failure = input_error(error, item)
        yield Record(**about, error=ErrorInfo(failure.kind, failure.message))


def within(word: Word, duration: float) -> Word:
    """The last word may be written in the silence behind a recording; it was said before."""
    end = min(word.end, duration)
    return Word(word.text, min(word.start, max(0.0, end - SHORTEST_SECONDS)), end)


class Heard:
    """The blocks of a recording, counted."""

    def __init__(self, reader: Reader, report: RunReport) -> None:
        self.samples = 0
        self._reader, self._report = reader, report

    def __iter__(self) -> Iterator[Wave]:
        for block in self._reader:
            self.samples += len(block)
            self._report.audio_seconds += len(block) / RATE
            yield block


def lines(words: Iterable[Iterable[Word]]) -> Iterator[list[Word]]:
    """Words that belong together: no long pause in them, and not too many to be read at once."""
    line: list[Word] = []
    for some in words:
        for word in some:
            characters = sum(len(one.text) + 1 for one in line) + len(word.text)
            ended = line and (
                word.start - line[-1].end >= PAUSE_SECONDS
                or word.end - line[0].start > LINE_SECONDS
                or characters > LINE_CHARACTERS
            )
            if ended:
                yield line
                line = []
            line.append(word)
    if line:
        yield line
