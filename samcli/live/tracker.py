"""Events while they happen: told when they begin, and again when they are over.

The rules are those of a timeline: hysteresis, a threshold for each label, short pauses bridged, slivers left out.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from samcli.engine.task import Scores
from samcli.tasks.event import Event
from samcli.tasks.tag import Choice
from samcli.tasks.timeline import EventFinder


class Change(NamedTuple):
    """An event began, and its end is not known yet; or it is over."""

    kind: Literal["begin", "end"]
    event: Event


class Tracker:
    """Feed it hop after hop."""

    def __init__(self, choice: Choice, step_seconds: float) -> None:
        self.finder = EventFinder(choice, step_seconds)
        self.begun: dict[int, float] = {}  # labels whose begin was told, and when that was

    def add(self, start: float, end: float, steps: Scores | None) -> list[Change]:
        self.finder.add(start, end, steps)
        changes = self._over(self.finder.settled(end))
        for position, event in self.finder.running().items():
            if position not in self.begun:
                self.begun[position] = event.start
                changes.append(Change("begin", event))
        return changes

    def finish(self) -> list[Change]:
        """The sound is at its end."""
        return self._over(self.finder.events())

    def _over(self, events: list[Event]) -> list[Change]:
        changes = []
        for event in events:
            if event.position not in self.begun:  # begun and over within one hop
                changes.append(Change("begin", event))
            self.begun.pop(event.position, None)
            changes.append(Change("end", event))
        return changes

    def state(self) -> dict[str, Any]:
        """Plain values."""
        opened, last = self.finder.state()
        begun = [list(one) for one in self.begun.items()]
        return {"open": [list(one) for one in opened], "last": [list(one) for one in last], "begun": begun}

    def resume(self, state: dict[str, Any]) -> None:
        self.finder.resume([Event(*one) for one in state["open"]], [Event(*one) for one in state["last"]])
        self.begun = {int(position): float(start) for position, start in state["begun"]}


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
