"""Events while they happen: told when they begin, and again when they are over.

The rules are those of a timeline: hysteresis, a threshold for each label, short pauses bridged, slivers left out, and
one name for one sound. Each hop is looked at twice: at once, and a hop later, when what follows it is known, too. The
higher of both scores counts, so that what was told to begin is never taken back.
"""

from __future__ import annotations

from dataclasses import replace
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


TWICE = 1.1  # of the model's own limits, which the better of two looks passes more easily


class Look(NamedTuple):
    """A hop that will be looked at again."""

    start: float
    end: float
    steps: Scores | None


class Tracker:
    """Feed it hop after hop."""

    def __init__(self, choice: Choice, step_seconds: float, folding: Folding | None) -> None:
        """Without `folding` each label is told as it is found."""
        if isinstance(choice.threshold, tuple):
            choice = replace(choice, threshold=tuple(min(TWICE * one, (1 + one) / 2) for one in choice.threshold))
        self.finder = EventFinder(choice, step_seconds)  # of all hops but the last
        self.ahead = self.finder  # the same, of all hops
        self.last: Look | None = None
        self.folding = folding
        self.begun: dict[int, float] = {}  # labels whose begin was told, and when that was

    def add(self, start: float, end: float, steps: Scores | None, before: Scores | None = None) -> list[Change]:
        """A hop; `before` is how the one before it looks now."""
        over = self._look_back(before)
        self.last = Look(start, end, steps)
        self.ahead = self.finder.ahead()
        self.ahead.add(*self.last)
        running = self.ahead.running()
        if self.folding is not None:
            return [Change(kind, *sound) for kind, sound in self.folding.add(over, running.values(), end)]
        changes = self._over(over)
        for position, event in running.items():
            if position not in self.begun:
                self.begun[position] = event.start
                changes.append(_change("begin", event))
        return changes

    def _look_back(self, again: Scores | None) -> list[Event]:
        """Be done with the hop before; the events that are over with it."""
        if self.last is None:
            return []
        start, end, steps = self.last
        if steps is not None and again is not None and again.shape == steps.shape:
            steps = np.maximum(steps, again)
        self.finder.add(start, end, steps)
        return self.finder.settled(end)

    def finish(self, now: float) -> list[Change]:
        """The sound is at its end."""
        self.finder = self.ahead
        if self.folding is None:
            return self._over(self.finder.events())
        told = [*self.folding.add(self.finder.events(), [], now), *self.folding.finish()]
        return [Change(kind, *sound) for kind, sound in told]

    def heard(self, now: float) -> dict[int, float]:
        """The labels of what is heard at this moment, with their scores."""
        if self.folding is None:
            return {place: event.score for place, event in self.ahead.running().items()}
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
        """Plain values; the scores of `last` are no such."""
        opened, last = self.finder.state()
        begun = [list(one) for one in self.begun.items()]
        folding = None if self.folding is None else self.folding.state()
        found = {"open": [list(one) for one in opened], "last": [list(one) for one in last]}
        hop = None if self.last is None else [self.last.start, self.last.end]
        return {**found, "begun": begun, "folding": folding, "hop": hop}

    def resume(self, state: dict[str, Any], steps: Scores | None) -> None:
        self.finder.resume([Event(*one) for one in state["open"]], [Event(*one) for one in state["last"]])
        self.begun = {int(position): float(start) for position, start in state["begun"]}
        if self.folding is not None:
            self.folding.resume(state["folding"])
        if state["hop"] is not None:
            start, end = map(float, state["hop"])
            self.last = Look(start, end, steps)
            self.ahead = self.finder.ahead()
            self.ahead.add(*self.last)


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

    def beside(self, steps: Scores) -> Scores:
        """What of these scores is news."""
        return np.asarray(steps * (1 - self.mean), np.float32)

    def learn(self, steps: Scores, seconds: float) -> None:
        """They belong to the background, too."""
        self.seconds = min(self.SECONDS, self.seconds + seconds)
        share = np.float32(seconds / self.seconds)
        self.mean = self.mean + share * (steps.mean(0) - self.mean)
