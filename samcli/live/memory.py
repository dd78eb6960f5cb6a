"""What is kept of the time that has passed: a digest of all of it, and of the stretch the next caption is about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from samcli.digest.digest import Digest
from samcli.engine.task import Heard, Window
from samcli.live.ear import Glimpse
from samcli.live.plain import digest_from, digest_values
from samcli.records import Event
from samcli.tasks.composed import ComposedGatherer, ComposedTask


class Caption(NamedTuple):
    start: float  # seconds
    said: tuple[str | None, tuple[Event, ...] | None]


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

    def _said(self, gatherer: ComposedGatherer, seconds: float) -> tuple[str | None, tuple[Event, ...] | None]:
        facts = Heard("", 0.0, seconds, seconds, seconds, not self.loud, "", "", None)
        (record,) = gatherer.records(facts, None)
        moved = [
            Event(one.label, one.score, one.start + self.since, one.end + self.since) for one in record.evidence or ()
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
