"""Files and segments under way: what has been heard of each, and what is still missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from samcli.engine.cores import Pending
from samcli.engine.inputs.decode_ahead import Job
from samcli.engine.inputs.sources import Ended
from samcli.engine.rows import Row
from samcli.engine.task import EarlyGatherer, Gatherer, Heard, Scores, Task, Window
from samcli.engine.windows import Piece
from samcli.errors import InputError
from samcli.records import ErrorInfo, Record
from samcli.text.inflection import clock

MOST = 10  # texts in a paragraph
MOST_TIMES = 3  # of one text


class Said(NamedTuple):
    """What came of listening to the end."""

    texts: list[tuple[str | None, str]]  # for each prompt; None and what is wrong where no words make sense
    losses: Scores | None = None  # (given texts,)


@dataclass(eq=False)
class Part:
    """As much of a segment as the model can speak of at once; mostly that is all of it."""

    segment: Segment
    start: float  # seconds
    state: Row | None = None  # of the language model, until it has spoken
    judged: Scores | None = None  # the sum of its windows'
    said: Said | None = None


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
    loud: bool = False  # a window passed the level gate
    part: Part | None = None  # that is being heard
    parts: list[Part] = field(default_factory=list)  # that were heard to their end
    unsaid: int = 0  # of them
    heard: bool = False  # all windows were taken in
    final: bool = False  # the recording ends with it
    closed: bool = False  # heard and said

    @property
    def state(self) -> Row | None:
        return None if self.part is None else self.part.state

    def text(self, prompt: int = 0) -> str | None:
        """What is said of all of it, to one of the prompts."""
        texts = self._texts(prompt)
        if len(self.parts) == 1 or not texts:
            return texts[0][1] if texts else None
        return paragraph(texts)[0]

    def losses(self) -> Scores | None:
        """Of the given texts: the mean of its parts'."""
        found = [part.said.losses for part in self.parts if part.said is not None and part.said.losses is not None]
        return np.asarray(np.mean(found, axis=0), np.float32) if found else None

    def problem(self) -> str | None:
        """Why there are no words, though the model was asked for some."""
        said = self.parts[0].said if self.parts and not self._texts() else None
        return said.texts[0][1] if said is not None and said.texts else None

    def remark(self, model: str) -> str | None:
        """How the words came about, where that is not as usual."""
        texts = self._texts()
        if len(self.parts) < 2 or not texts:
            return None
        left_out, dumb = paragraph(texts)[1], len(self.parts) - len(texts)
        more = [f"{left_out} more are left out"] * bool(left_out) + [f"{dumb} could not be put into words"] * bool(dumb)
        return (
            f"This is more than {model} can tell in one go, so it was heard in {len(self.parts)} parts"
            f"{''.join(f'; {text}' for text in more)}. --segment gives a record to each stretch."
        )

    def _texts(self, prompt: int = 0) -> list[tuple[float, str]]:
        said = [(part.start, part.said.texts[prompt : prompt + 1]) for part in self.parts if part.said is not None]
        return [(start, text) for start, texts in said for text, _ in texts if text is not None]


@dataclass(eq=False)
class File:
    """One input."""

    job: Job
    prompts: Sequence[str] = ()
    segments: list[Segment] = field(default_factory=list)  # without records so far
    recorded: int = 0  # segments before these: of a stream
    open: int = 0  # segments not done
    ended: Ended | None = None
    failed: bool = False

    @property
    def name(self) -> str:
        return repr(self.job.item.display)

    def records(self, task: Task, model: str, revision: str) -> list[Any]:
        """What is to be written down, once everything is heard and said."""
        return [record for segment in self.segments for record in self.records_of(segment, task, model, revision)]

    def settled_records(self, task: Task, model: str, revision: str) -> list[Any]:
        """Of a stream that goes on: what nothing to come can change, each once. The last segment waits for its end."""
        records: list[Any] = []
        while self.segments and self.segments[0].closed and not self.segments[0].final:
            records += self.records_of(self.segments[0], task, model, revision)
            del self.segments[0]
            self.recorded += 1
        now = self.segments[0] if self.segments and not self.segments[0].closed else None
        if now is not None and isinstance(now.gatherer, EarlyGatherer):
            records += now.gatherer.settled(self.heard(now, model, revision))
        return records

    def records_of(self, segment: Segment, task: Task, model: str, revision: str) -> list[Any]:
        """What is to be written down of one segment that is heard and said."""
        heard = self.heard(segment, model, revision)
        problem = segment.problem()
        if problem is None:
            return list(segment.gatherer.records(heard, heard.texts[0] if heard.texts else None))
        info = ErrorInfo("no-words", f"{model} found no words for {self.name} that make sense: {problem}.")
        return [replace(heard.record(task.name), error=info)]

    def heard(self, segment: Segment, model: str, revision: str) -> Heard:
        """The facts about a segment; of a stream, how long it lasts is how much has come, whatever waits behind it."""
        ended = self.ended
        if ended is None or (self.job.item.flows and not segment.final):
            ended = Ended(segment.end, segment.end, None)
        alone = len(self.segments) == 1 and not self.recorded
        return Heard(
            path=self.job.item.display,
            start=segment.start,
            # A whole-file record ends where the recording does, even when some of it could not be decoded.
            end=ended.duration if alone else segment.end,
            duration=ended.duration,
            covered=ended.covered,
            silent=not segment.loud,
            model=model,
            revision=revision,
            warning=" ".join(filter(None, (ended.warning, segment.remark(model)))) or None,
            texts=tuple(segment.text(place) for place in range(len(self.prompts))),
            losses=segment.losses(),
        )


class Done(NamedTuple):
    """One input and its records, or what else its task gathers."""

    job: Job
    records: list[Any]
    known: bool = False  # from the journal
    more: bool = False  # of a stream that goes on
    error: InputError | None = None  # why there is nothing but an error record


def error_record(job: Job, task: str, model: str, revision: str, error: InputError) -> Record:
    info = ErrorInfo(error.kind, error.message)
    return Record(task=task, path=job.item.display, model=model, revision=revision, error=info)


Entry = tuple[Segment, Piece]


class Batch(NamedTuple):
    """Windows that are encoded together."""

    length: int  # samples that they are padded to
    entries: list[Entry]
    windows: Pending[list[Window]]


def paragraph(told: Sequence[tuple[float, str]]) -> tuple[str, int]:
    """Starts in seconds and texts, as one text in their order; and how many different texts it left out.

    "0:00, 2:10 A dog is barking. 0:30 Rain is falling." What is said several times is written once.
    """
    times: dict[str, list[float]] = {}
    last = None
    for start, text in told:
        if text != last:
            times.setdefault(text, []).append(start)
        last = text
    kept = _chosen(list(times), times)
    return " ".join(f"{_clocks(times[text])} {text}" for text in kept), len(times) - len(kept)


def _chosen(texts: list[str], times: dict[str, list[float]]) -> list[str]:
    """Those that are said most often; of those said equally often, some from everywhere."""
    if len(texts) <= MOST:
        return texts
    often = sorted((text for text in texts if len(times[text]) > 1), key=lambda text: -len(times[text]))[:MOST]
    once = [text for text in texts if len(times[text]) == 1]
    room = MOST - len(often)
    kept = {*often, *(once[place * len(once) // room] for place in range(min(room, len(once))))}
    return [text for text in texts if text in kept]


def _clocks(starts: Sequence[float]) -> str:
    more = ["..."] if len(starts) > MOST_TIMES else []
    return ", ".join([*map(clock, starts[:MOST_TIMES]), *more])
