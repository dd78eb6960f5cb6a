"""The ear, the events and the memory of one place, as a fold: sound in, what is to be told out.

`take` may be given blocks of any size, and `state` at any moment: whoever goes on from it tells what would have been
told without the break.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np

from samcli.audio.waves import QUIETEST_DB, levels_db
from samcli.engine.options import RunOptions
from samcli.engine.task import Heard, Scores, Window
from samcli.engine.windows import Wave
from samcli.errors import ModelError, UsageError
from samcli.live.ear import Ear, Glimpse, Tail
from samcli.live.folding import Folding
from samcli.live.memory import Memory, Statistics
from samcli.live.tracker import Background, Change, Tracker
from samcli.models.interface import SoundModel
from samcli.records import Record, Tag
from samcli.tasks.composed import ComposedTask
from samcli.tasks.run import task_for
from samcli.tasks.tag import DIGITS
from samcli.tasks.timeline import TimelineTask
from samcli.writers.formats import to_json

Kind = Literal["begin", "end", "caption", "gap"]


class Told(NamedTuple):
    """Something that was heard, or that could not be."""

    kind: Kind
    number: int  # counts up from 1, across restarts that share a state: what is told twice has the same
    record: Record  # its times are seconds since the listening began
    time: float  # of the start, by the clock: seconds since 1970
    until: float | None  # of the end; None while it lasts

    @property
    def label(self) -> str | None:
        return self.record.tags[0].label if self.record.tags else None

    @property
    def score(self) -> float | None:
        return self.record.tags[0].score if self.record.tags else None

    def values(self) -> dict[str, Any]:
        """The record's keys and four more."""
        until = None if self.until is None else clock(self.until)
        own = {"event": self.kind, "number": self.number, "time": clock(self.time), "until": until}
        return {**json.loads(to_json(self.record)), **own}

    def line(self) -> str:
        return json.dumps(self.values(), ensure_ascii=False, allow_nan=False)


def clock(seconds: float) -> str:
    """A time of day with its date and its distance from Greenwich."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class LiveOptions:
    """What is to be told."""

    labels: tuple[str, ...] = ()  # only these; empty: all the model knows
    threshold: float | str | None = None  # one for all, or "auto"; None: the model's own
    captions_every: float | None = None  # seconds
    changes: bool = False  # only what differs from the background
    all_events: bool = False  # each label by itself, as it is found
    silence_db: float = RunOptions.silence_db

    def __post_init__(self) -> None:
        if self.captions_every is not None and not 10 <= self.captions_every < float("inf"):
            raise UsageError(f"--captions-every is at least 10 seconds, not {self.captions_every:g}.")


class Listener:
    """Feed it sound; it says what is to be told."""

    def __init__(self, model: SoundModel, options: LiveOptions, name: str = "live") -> None:
        self.model, self.options, self.name = model, options, name
        told = RunOptions(timeline=True, labels=options.labels, threshold=options.threshold)  # type: ignore[arg-type]
        task = task_for("tag", model, told)
        assert isinstance(task, TimelineTask)
        self.choice, self.rate = task.choice, model.sample_rate
        self.ear = Ear(model, task.step_seconds, options.silence_db)
        folding = None if options.all_events else Folding(model.labels, alone=bool(options.labels))
        self.tracker = Tracker(task.choice, task.step_seconds, folding)
        self.background = Background(len(model.labels)) if options.changes else None
        self.memory = Memory(_composed(model, options), options.captions_every)
        self.statistics = Statistics()
        self.tail, self.rest = Tail.nothing(), np.zeros(0, np.float32)
        self.number = 0  # of what was told last
        self.started = 0.0  # by the clock, seconds since 1970
        self.level = QUIETEST_DB  # of the last tenth of a second, for whoever watches
        self.now: dict[str, float] = {}  # what is heard at this moment, with its score

    @property
    def position(self) -> int:
        """Samples taken in so far."""
        return self.tail.position + len(self.rest)

    @property
    def seconds(self) -> float:
        return self.position / self.rate

    def take(self, wave: Wave, hurry: bool = False) -> Iterator[Told]:
        """More sound, of any length; in a `hurry` it is looked at less often, and as much is heard."""
        held = np.concatenate([self.rest, wave])
        at = 0
        while len(held) - at >= self.ear.hop:
            hop, at = held[at : at + self.ear.hop], at + self.ear.hop
            self.rest = held[at:].copy()
            yield from self._hop(hop, hurry)
        self.rest = held[at:].copy()

    def miss(self, seconds: float, why: str) -> Iterator[Told]:
        """Sound that could not be heard: time goes on, and it is told."""
        start = self.seconds
        record = replace(self._record(start, start + seconds), warning=f"{seconds:.1f} s were not heard: {why}.")
        yield self._told("gap", record)
        left = round(seconds * self.rate)
        while left > 0:  # a night without a camera is not held in memory
            count = min(left, self.ear.hop)
            yield from self.take(np.zeros(count, np.float32))
            self.statistics.missed += count / self.rate
            left -= count

    def finish(self) -> Iterator[Told]:
        """The sound is at its end."""
        if len(self.rest):
            last, self.rest = self.rest, np.zeros(0, np.float32)
            yield from self._hop(last)
        self.tail, glimpses = self.ear.catch_up(self.tail)
        yield from self._changes(glimpses)
        yield from map(self._change, self.tracker.finish(self.tail.position / self.rate))

    def anchor(self, clock: float) -> None:
        """It is so late now, and all sound so far has come."""
        self.started = clock - self.seconds

    def _hop(self, wave: Wave, hurry: bool = False) -> Iterator[Told]:
        self.tail, glimpses = self.ear.hear(self.tail, wave, hurry)
        self.level = float(levels_db(wave, self.rate)[-1])
        yield from self._changes(glimpses)
        for window in self.ear.over(self.tail):
            yield from self._remember(window)

    def _changes(self, glimpses: list[Glimpse]) -> Iterator[Told]:
        for glimpse in glimpses:
            self.statistics.add(glimpse)
            yield from map(self._change, self.tracker.add(glimpse.start, glimpse.end, *self._news(glimpse)))
            heard = self.tracker.heard(glimpse.end)
            self.now = {self.choice.labels[place]: round(score, DIGITS) for place, score in heard.items()}

    def _news(self, glimpse: Glimpse) -> list[Scores | None]:
        """The scores of the hop and of the one before it, as far as they are to be told."""
        looks = [glimpse.steps, glimpse.before]
        if self.background is not None:
            looks = [None if steps is None else self.background.beside(steps) for steps in looks]
            if glimpse.steps is not None:
                self.background.learn(glimpse.steps, glimpse.end - glimpse.start)
        return looks

    def _remember(self, window: Window) -> Iterator[Told]:
        caption = self.memory.add(window)
        if caption is not None:
            words, evidence = caption.said
            record = replace(self._record(caption.start, window.end), task="caption", caption=words, evidence=evidence)
            yield self._told("caption", replace(record, silent=words is None, tags=None, threshold=None))

    def _change(self, change: Change) -> Told:
        event = change.event
        self.statistics.events += change.kind == "end"
        record = self._record(event.start, event.end if change.kind == "end" else None)
        scores = {**change.names, event.position: event.score}
        places = sorted(
            scores, key=lambda place: (place != event.position, -scores[place], place)
        )  # its own name first
        tags = tuple(Tag(self.choice.labels[place], round(scores[place], DIGITS)) for place in places)
        return self._told(change.kind, replace(record, tags=tags, threshold=self.choice.told, silent=False))

    def _record(self, start: float, end: float | None) -> Record:
        now = self.tail.position / self.rate
        facts = Heard(
            self.name, start, now if end is None else end, now, now - self.statistics.missed, False,
            self.model.name, self.model.revision, None,
        )  # fmt: skip
        record = facts.record("tag")
        return replace(record, end=None if end is None else record.end)

    def _told(self, kind: Kind, record: Record) -> Told:
        self.number += 1
        start = record.start or 0.0
        until = None if record.end is None else self.started + record.end
        return Told(kind, self.number, record, self.started + start, until)


def _composed(model: SoundModel, options: LiveOptions) -> ComposedTask | None:
    """The captions of what is kept, for a model whose scores bear them out."""
    task = task_for("caption", model, RunOptions()) if "caption" in model.tasks else None
    if isinstance(task, ComposedTask):
        return task
    if options.captions_every is not None:
        raise ModelError(f"The model {model.name!r} cannot caption what it hears live; sam-nano can: --model sam-nano.")
    return None
