"""Files and segments under way: what has been heard of each, and what is still missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from samcli.audio.windows import Levels
from samcli.engine.inputs.decode_ahead import Ended, Job
from samcli.engine.rows import Row
from samcli.engine.task import Gatherer, Heard, Scores
from samcli.errors import InputError
from samcli.records import ErrorInfo, Record


class Window(NamedTuple):
    """What came of one window; nothing but its times when it was silent."""

    start: float  # seconds
    end: float
    clip: Scores | None = None  # (classes,)
    steps: Scores | None = None  # (steps, classes)
    encoding: Row | None = None  # still to be listened to
    judged: Scores | None = None  # (width,): the vector of a model that judges captions
    levels: Levels | None = None  # (tenths of a second,): in dB of full scale


@dataclass(eq=False)
class Segment:
    """One record's worth of sound."""

    file: File
    gatherer: Gatherer
    start: float
    end: float = 0.0
    expected: int | None = None  # windows; None until the last is cut, and again when all were taken in
    next: int = 0  # window to take in
    waiting: dict[int, Window] = field(default_factory=dict)  # by order; some come before their turn
    state: Row | None = None  # of the language model
    judged: Scores | None = None  # the sum of its windows'
    loud: bool = False  # a window passed the level gate
    text: str | None = None


@dataclass(eq=False)
class File:
    """One input."""

    job: Job
    segments: list[Segment] = field(default_factory=list)
    open: int = 0  # segments not done
    ended: Ended | None = None
    failed: bool = False

    @property
    def name(self) -> str:
        return repr(self.job.item.display)

    def records(self, model: str, revision: str) -> list[Record]:
        """What is to be written down, once everything is heard and said."""
        assert self.ended is not None
        records: list[Record] = []
        alone = len(self.segments) == 1
        for segment in self.segments:
            heard = Heard(
                path=self.job.item.display,
                start=segment.start,
                # A whole-file record ends where the recording does, even when some of it could not be decoded.
                end=self.ended.duration if alone else segment.end,
                duration=self.ended.duration,
                covered=self.ended.covered,
                silent=not segment.loud,
                model=model,
                revision=revision,
                warning=self.ended.warning,
            )
            records.extend(segment.gatherer.records(heard, segment.text))
        return records

    def error_record(self, task: str, model: str, revision: str, error: InputError) -> Record:
        return error_record(self.job, task, model, revision, error)


class Done(NamedTuple):
    """One input and its records."""

    job: Job
    records: list[Record]
    known: bool = False  # from the journal


def error_record(job: Job, task: str, model: str, revision: str, error: InputError) -> Record:
    info = ErrorInfo(error.kind, error.message)
    return Record(task=task, path=job.item.display, model=model, revision=revision, error=info)
