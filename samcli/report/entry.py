"""One recording as a page shows it, from the records about it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from samcli.engine.inputs.recorded_at import Clock
from samcli.engine.options import RunOptions
from samcli.engine.task import Gatherer, Heard, Task, Window
from samcli.records import Event, Record, Tag
from samcli.report.reading import events_of
from samcli.tasks.composed import ComposedTask, composed
from samcli.tasks.run import task_for
from samcli.writers.escape import one_line

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

STRETCH_SECONDS = 30.0  # of each caption of a long recording


@dataclass(frozen=True)
class Everything(Task):
    """One record of tags, one of each event, and captions: of all of it and of each stretch."""

    tags: Task
    events: Task | None  # None: the model cannot place sounds in time
    words: ComposedTask | None  # None: its scores are not enough to make sentences of
    name: str = "tag"
    wants_clip: bool = True
    wants_steps: bool = True

    def gatherer(self) -> Gatherer:
        return _Gatherer(self)


def everything(model: SoundModel) -> Everything:
    """All that a model can say of a recording without its language model, which is slower than all the rest."""
    events = None if model.step_seconds is None else task_for("tag", model, RunOptions(timeline=True))
    words = composed("caption", model, RunOptions())
    return Everything(task_for("tag", model, RunOptions()), events, words, wants_steps=events is not None)


@dataclass
class _Gatherer:
    task: Everything
    whole: list[Gatherer] = field(init=False)
    stretches: list[tuple[float, float, Gatherer]] = field(default_factory=list)  # with their ends

    def __post_init__(self) -> None:
        parts = (self.task.tags, self.task.events, self.task.words)
        self.whole = [task.gatherer() for task in parts if task is not None]

    def add(self, window: Window) -> None:
        for part in self.whole:
            part.add(window)
        if self.task.words is None:
            return
        if not self.stretches or window.end - self.stretches[-1][0] > STRETCH_SECONDS:
            self.stretches.append((window.start, window.end, self.task.words.gatherer()))
        begin, _, words = self.stretches[-1]
        words.add(window)
        self.stretches[-1] = (begin, window.end, words)

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        records = [record for part in self.whole for record in part.records(heard, text)]
        if len(self.stretches) < 2:
            return records
        for start, end, words in self.stretches:
            records += words.records(replace(heard, start=start, end=end, silent=False), None)
        return records


DIGITS = 3  # of seconds and scores

Line = tuple[float, float, str]  # from when to when, and what


@dataclass
class Entry:
    """What is known of one recording."""

    path: str
    duration: float = 0.0
    clock: str | None = None
    tags: list[Tag] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    words: list[Line] = field(default_factory=list)
    evidence: list[Event] = field(default_factory=list)
    said: list[Line] = field(default_factory=list)
    error: str = ""
    warning: str = ""
    sound: Path | None = None  # where it lies, when it is there
    source: str = ""  # the address a player opens
    picture: bytes = b""
    opus: bytes = b""  # the sound itself, to travel with the page

    def add(self, record: Record) -> None:
        self.duration = max(self.duration, record.duration or 0.0)
        self.error = self.error or (record.error.message if record.error else "")
        self.warning = self.warning or record.warning or ""
        told = record.caption or record.answer
        if record.question and told:
            told = f"{record.question} {told}"
        if record.transcript and record.start is not None and record.end is not None:
            self.said.append((record.start, record.end, record.transcript))
        if told and record.start is not None and record.end is not None:
            self.words.append((record.start, record.end, told))
            self.evidence += [event for event in record.evidence or () if event not in self.evidence]
        if record.tags is not None:
            self._tagged(record)

    def _tagged(self, record: Record) -> None:
        # A recording's first tags may be of all of it; where events follow, they are those.
        if record.start == 0 and record.end == record.duration and not self.tags and not self.events:
            self.tags = list(record.tags or ())
        self.events += events_of(record)

    def facts(self) -> dict[str, Any]:
        """As the page's script reads it."""
        return {
            "path": self.path,
            "name": one_line(self.path),
            "source": self.source,
            "duration": round(self.duration, DIGITS),
            "clock": self.clock,
            "tags": [[tag.label, round(tag.score, DIGITS)] for tag in self.tags],
            "events": [_facts_of(event) for event in self.events],
            "words": _timed(self.words),
            "said": _timed(self.said),
            "evidence": [_facts_of(event) for event in self.evidence],
            "error": one_line(self.error),
            "warning": one_line(self.warning),
        }


def entries(records: Iterable[Record], clock: Clock) -> Iterator[Entry]:
    """One for each recording; the records of one follow each other."""
    for path, group in itertools.groupby(records, key=lambda record: record.path):
        entry = Entry(path)
        own = list(group)
        whole = len(own) > 1 and _spans(own[0]) and any(not _spans(record) or not record.tags for record in own[1:])
        for number, record in enumerate(own):
            entry.add(record)
            if number == 0 and whole and record.tags is not None:
                entry.events.clear()  # these are the tags of all of it
            if record.clock is not None and record.start == 0:
                entry.clock = record.clock
        entry.clock = entry.clock or clock.at(path, 0.0)
        yield entry


def _spans(record: Record) -> bool:
    return record.tags is not None and record.start == 0 and record.end == record.duration


def address(sound: Path, page: Path) -> str:
    """A sound's address relative to the page's; every byte that could mean something else is written as a number."""
    try:
        way = os.path.relpath(sound.resolve(), page.resolve().parent)
    except ValueError:  # another drive
        return sound.resolve().as_uri()
    return quote(os.fsencode(way.replace(os.sep, "/")))


def _timed(lines: Iterable[Line]) -> list[list[Any]]:
    return [[round(start, DIGITS), round(end, DIGITS), text] for start, end, text in lines]


def _facts_of(event: Event) -> list[Any]:
    return [event.label, round(event.start, DIGITS), round(event.end, DIGITS), round(event.score, DIGITS)]
