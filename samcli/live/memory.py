"""What is kept of the time that has passed: a digest of all of it, and of the stretch the next caption is about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from samcli.digest.digest import Bin, Digest, Level, Peaks
from samcli.digest.events import Account, Course, Event
from samcli.engine.task import Heard, Window
from samcli.live.ear import Glimpse
from samcli.records import Event as Evidence
from samcli.tasks.composed import ComposedGatherer, ComposedTask


def digest_values(digest: Digest | None) -> dict[str, Any] | None:
    if digest is None:
        return None
    best = None if digest.best is None else [float(score) for score in digest.best]  # float32 in float64: exact
    courses = [[row, course] for row, course in digest.courses.items()]
    peaks = None if digest.peaks is None else [column.tolist() for column in digest.peaks]
    return {**digest._asdict(), "best": best, "courses": courses, "peaks": peaks}  # JSON writes named tuples as lists


def digest_from(values: dict[str, Any] | None) -> Digest | None:
    if values is None:
        return None
    best = None if values["best"] is None else np.array(values["best"], np.float32)
    courses = {int(row): _course(course) for row, course in values["courses"]}
    span = int(values["start"]), int(values["end"])
    return Digest(*span, courses, best, int(values["heard"]), _level(values["level"]), _peaks(values.get("peaks")))


def _event(values: list[Any] | None) -> Event | None:
    return None if values is None else Event(*values)


def _events(values: list[list[Any]]) -> tuple[Event, ...]:
    return tuple(Event(*one) for one in values)


def _account(values: list[Any]) -> Account:
    number, total, first, last, plainest, longest, loudest, width, bins = values
    kept = (_events(first), _events(last), _events(plainest), _event(longest), _event(loudest))
    return Account(number, total, *kept, width, tuple((place, amount) for place, amount in bins))


def _course(values: list[Any]) -> Course:
    start, end, head, tail, first, account, last, best = values
    return Course(start, end, _event(head), _event(tail), _event(first), _account(account), _event(last), _event(best))


def _peaks(values: list[Any] | None) -> Peaks | None:
    return None if values is None else Peaks(np.array(values[0], np.float32), np.array(values[1], np.int64))


def _level(values: list[Any]) -> Level:
    width, bins, highest, at = values
    return Level(width, tuple((number, Bin(*one)) for number, one in bins), highest, at)


class Caption(NamedTuple):
    start: float  # seconds
    said: tuple[str | None, tuple[Evidence, ...] | None]


class Memory:
    """Feed it the model's windows, one after the other."""

    def __init__(self, task: ComposedTask | None, captions_every: float | None) -> None:
        self.task, self.every = task, captions_every
        self.day = None if task is None else task.gatherer()
        self.stretch = None if task is None or captions_every is None else task.gatherer()
        self.since, self.loud = 0.0, False  # of the stretch

    def add(self, window: Window) -> Caption | None:
        """A window more; a caption where one is due."""
        if self.day is not None:
            _add(self.day, window, 0.0)
        if self.stretch is None or self.every is None or self.task is None:
            return None
        _add(self.stretch, window, self.since)
        self.loud = self.loud or window.steps is not None
        if window.end - self.since < self.every:
            return None
        caption = Caption(self.since, self._said(self.stretch, window.end - self.since))
        self.stretch, self.since, self.loud = self.task.gatherer(), window.end, False
        return caption

    def _said(self, gatherer: ComposedGatherer, seconds: float) -> tuple[str | None, tuple[Evidence, ...] | None]:
        facts = Heard("", 0.0, seconds, seconds, seconds, not self.loud, "", "", None)
        (record,) = gatherer.records(facts, None)
        moved = [
            Evidence(one.label, one.score, one.start + self.since, one.end + self.since)
            for one in record.evidence or ()
        ]
        return record.caption, None if record.evidence is None else tuple(moved)

    def state(self, rest: list[Window]) -> dict[str, Any]:
        """Plain values; `rest` are the windows of what came after the last whole one."""
        if self.day is None or self.task is None:
            return {}
        whole = self.task.gatherer()
        whole.digest = self.day.digest
        for window in rest:
            _add(whole, window, 0.0)
        stretch = None if self.stretch is None else digest_values(self.stretch.digest)
        kept = {"digest": digest_values(self.day.digest), "until_now": digest_values(whole.digest)}
        return {**kept, "stretch": stretch, "since": self.since, "loud": self.loud}

    def resume(self, state: dict[str, Any]) -> None:
        if self.day is not None:
            self.day.digest = digest_from(state["digest"])
            self.since, self.loud = float(state["since"]), bool(state["loud"])
        if self.stretch is not None:
            self.stretch.digest = digest_from(state["stretch"])


def recalled(state: dict[str, Any]) -> Digest | None:
    """All that was kept, up to the moment of saving."""
    return digest_from(state.get("until_now"))


def _add(gatherer: ComposedGatherer, window: Window, since: float) -> None:
    gatherer.add(window._replace(start=window.start - since, end=window.end - since))


@dataclass
class Statistics:
    """Counted since the beginning."""

    heard: float = 0.0  # seconds that were not silent
    silent: float = 0.0
    missed: float = 0.0
    events: int = 0  # that are over

    def add(self, glimpse: Glimpse) -> None:
        seconds = glimpse.end - glimpse.start
        if glimpse.steps is None:
            self.silent += seconds
        else:
            self.heard += seconds

    def values(self) -> dict[str, float]:
        return asdict(self)
