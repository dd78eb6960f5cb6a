"""Events while they happen: told when they begin, and again when they are over.

The rules are those of a timeline: hysteresis, a threshold for each label, short pauses bridged, slivers left out, and
one name for one sound.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from samcli.engine.task import Scores
from samcli.live.folding import Folding, Kind
from samcli.tasks.readable import Event
from samcli.tasks.tag import Choice
from samcli.tasks.timeline import GAP_SECONDS, EventFinder


class Change(NamedTuple):
    """An event began, and its end is not known yet; or it is over."""

    kind: Kind
    event: Event
    names: dict[int, float]  # the labels it goes by, with their scores; that of the event is one of them


class Tracker:
    """Feed it hop after hop."""

    def __init__(self, choice: Choice, step_seconds: float, folding: Folding | None) -> None:
        """Without `folding` each label is told as it is found."""
        self.finder = EventFinder(choice, step_seconds)
        self.folding = folding
        self.begun: dict[int, float] = {}  # labels whose begin was told, and when that was

    def add(self, start: float, end: float, steps: Scores | None) -> list[Change]:
        self.finder.add(start, end, steps)
        if self.folding is not None:
            told = self.folding.add(self.finder.settled(end), self.finder.running().values(), end)
            return [Change(kind, *sound) for kind, sound in told]
        changes = self._over(self.finder.settled(end))
        for position, event in self.finder.running().items():
            if position not in self.begun:
                self.begun[position] = event.start
                changes.append(_change("begin", event))
        return changes

    def finish(self, now: float) -> list[Change]:
        """The sound is at its end."""
        if self.folding is None:
            return self._over(self.finder.events())
        told = [*self.folding.add(self.finder.events(), [], now), *self.folding.finish()]
        return [Change(kind, *sound) for kind, sound in told]

    def heard(self, now: float) -> dict[int, float]:
        """The labels of what is heard at this moment, with their scores."""
        if self.folding is None:
            return {place: event.score for place, event in self.finder.running().items()}
        events = [sound.event for sound in self.folding.sounds]
        return {event.position: event.score for event in events if now - event.end <= GAP_SECONDS}

    def _over(self, events: list[Event]) -> list[Change]:
        changes = []
        for event in events:
            if event.position not in self.begun:  # begun and over within one hop
                changes.append(_change("begin", event))
            self.begun.pop(event.position, None)
            changes.append(_change("end", event))
        return changes

    def state(self) -> dict[str, Any]:
        """Plain values."""
        opened, last = self.finder.state()
        begun = [list(one) for one in self.begun.items()]
        folding = None if self.folding is None else self.folding.state()
        found = {"open": [list(one) for one in opened], "last": [list(one) for one in last]}
        return {**found, "begun": begun, "folding": folding}

    def resume(self, state: dict[str, Any]) -> None:
        self.finder.resume([Event(*one) for one in state["open"]], [Event(*one) for one in state["last"]])
        self.begun = {int(position): float(start) for position, start in state["begun"]}
        if self.folding is not None:
            self.folding.resume(state["folding"])


def _change(kind: Kind, event: Event) -> Change:
    return Change(kind, event, {event.position: event.score})


class Background:
    """What is always there: each label's mean score, over a few minutes.

    A score counts by how far it is from certain already: a fan of 0.8 for an hour leaves a fifth of its score, a dog
    that was not there before keeps all of it.
    """

    SECONDS = 300.0  # after which what is new has become old

    def __init__(self, classes: int) -> None:
        self.mean = np.zeros(classes, np.float32)
        self.seconds = 0.0

    def beside(self, steps: Scores, seconds: float) -> Scores:
        """What of these scores is news; they then belong to the background too."""
        news: Scores = (steps * (1 - self.mean)).astype(np.float32)
        self.seconds = min(self.SECONDS, self.seconds + seconds)
        share = np.float32(seconds / self.seconds)
        self.mean = self.mean + share * (steps.mean(0) - self.mean)
        return news
