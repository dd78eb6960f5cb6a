"""Events with start and end, from tag scores per time step.

A label's event is a stretch of steps that all reach the lower threshold and of which one reaches the upper
(hysteresis: a sound that fades a little is not cut in two). Events of one label that nearly touch are one; what is
then still too short is left out. The work is a fold over windows: memory grows with the number of events, not with
the length of the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from samcli.engine.task import Heard, Scores, Task, Window
from samcli.records import Record, Tag
from samcli.tasks.readable import ROUNDING, Event, readable
from samcli.tasks.tag import DIGITS, Choice

LOWER = 0.5  # of the upper threshold
GAP_SECONDS = 0.5  # shorter pauses do not end an event
LEAST_SECONDS = 0.25  # shorter events are left out; of two steps at least, when a step lasts 0.2 s


class EventFinder:
    """Feed windows in order of time, then read `events`."""

    def __init__(self, choice: Choice, step_seconds: float) -> None:
        self.choice = choice
        self.step_seconds = step_seconds
        self.upper: list[float] = choice.limits.tolist()
        self.lower = [limit * LOWER for limit in self.upper]
        self.asked = list(choice.asked)
        self._open: dict[int, Event] = {}  # stretches above the lower threshold that have not ended
        self._last: dict[int, Event] = {}  # the latest event of each label, to which the next may still be joined
        self._done: list[Event] = []

    def add(self, start: float, end: float, scores: Scores | None) -> None:
        """Scores (steps, classes) of the window from `start` to `end`; None when it was silent."""
        if scores is None or not len(scores):
            self._close(list(self._open))
            return
        best = scores.max(axis=0)  # (classes,)
        # Most labels stay below the threshold for the whole window and need no look at their steps.
        for position in self.asked:
            if best[position] >= self.lower[position] or position in self._open:
                self._follow(position, start, end, scores[:, position])

    def events(self) -> list[Event]:
        """All events, by start, then by falling score. Call it once, after the last window."""
        self._close(list(self._open))
        for event in self._last.values():
            self._keep(event)
        self._last.clear()
        events = self._strongest(self._done)
        return sorted(events, key=lambda event: (event.start, -event.score, event.position))

    def settled(self, now: float) -> list[Event]:
        """The events that nothing after `now` can change, each once; none where only the best labels are wanted."""
        if self.choice.top_k < len(self.asked):
            return []
        for position, last in list(self._last.items()):
            goes_on = self._open.get(position)
            if (now if goes_on is None else goes_on.start) - last.end > GAP_SECONDS + ROUNDING:
                self._keep(self._last.pop(position))
        done, self._done = self._done, []
        return sorted(done, key=lambda event: (event.start, -event.score, event.position))

    def state(self) -> tuple[list[Event], list[Event]]:
        """What is open, and what may still be joined, between `settled` and the next window."""
        return list(self._open.values()), list(self._last.values())

    def ahead(self) -> EventFinder:
        """One that goes on from here, and leaves this one as it is."""
        other = EventFinder(self.choice, self.step_seconds)
        other.resume(*self.state())
        return other

    def resume(self, opened: Iterable[Event], last: Iterable[Event]) -> None:
        """Go on from such a state."""
        self._open = {event.position: event for event in opened}
        self._last = {event.position: event for event in last}

    def running(self) -> dict[int, Event]:
        """Of each label the event that has begun and may still go on."""
        found = dict(self._last)
        for position, event in self._open.items():
            if event.score < self.upper[position]:
                continue
            last = found.get(position)
            joined = last is not None and event.start - last.end <= GAP_SECONDS + ROUNDING
            found[position] = (
                Event(last.start, event.end, max(last.score, event.score), position) if last and joined else event
            )
        return {place: event for place, event in found.items() if event.end - event.start >= LEAST_SECONDS - ROUNDING}

    def _follow(self, position: int, start: float, end: float, scores: Scores) -> None:
        for step, score in enumerate(scores.tolist()):
            begin = start + step * self.step_seconds
            # The last step of a window reaches to its end, whether the hop divides the window or not.
            finish = end if step == len(scores) - 1 else min(end, begin + self.step_seconds)
            if score < self.lower[position]:
                self._close([position])
            elif position in self._open:
                event = self._open[position]
                self._open[position] = event._replace(end=finish, score=max(event.score, score))
            else:
                self._open[position] = Event(begin, finish, score, position)

    def _close(self, positions: list[int]) -> None:
        for position in positions:
            event = self._open.pop(position, None)
            if event is None or event.score < self.upper[position]:
                continue
            last = self._last.get(position)
            if last is not None and event.start - last.end <= GAP_SECONDS + ROUNDING:
                event = Event(last.start, event.end, max(last.score, event.score), position)
            elif last is not None:
                self._keep(last)
            self._last[position] = event

    def _keep(self, event: Event) -> None:
        if event.end - event.start >= LEAST_SECONDS - ROUNDING:
            self._done.append(event)

    def _strongest(self, events: list[Event]) -> Iterator[Event]:
        """Those of the `top_k` labels whose best moment is best."""
        best: dict[int, float] = {}
        for event in events:
            best[event.position] = max(best.get(event.position, 0.0), event.score)
        chosen = set(sorted(best, key=lambda position: (-best[position], position))[: self.choice.top_k])
        return (event for event in events if event.position in chosen)


@dataclass(frozen=True)
class TimelineTask(Task):
    """One record per event; one without tags when there is none, so that every file is accounted for."""

    choice: Choice
    step_seconds: float
    all_events: bool = False  # as they are found, not as a person would write them down
    name: str = "tag"
    wants_steps: bool = True

    def gatherer(self) -> TimelineGatherer:
        return TimelineGatherer(self.choice, self.step_seconds, self.all_events)


class TimelineGatherer:
    """Finds the events of one recording."""

    def __init__(self, choice: Choice, step_seconds: float, all_events: bool = False) -> None:
        self.choice, self.all_events = choice, all_events
        self.finder = EventFinder(choice, step_seconds)
        self.heard_until = 0.0
        self.found = False

    def add(self, window: Window) -> None:
        self.finder.add(window.start, window.end, window.steps)
        self.heard_until = window.end

    def settled(self, heard: Heard) -> list[Record]:
        """The events that are over."""
        events = self.finder.settled(self.heard_until)
        if not self.all_events:  # as far as one can before all is heard
            events = readable(events, self.choice.labels)
        self.found = self.found or bool(events)
        return [self._record(heard, event) for event in events]

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        events = self.finder.events()
        if not self.all_events:
            events = readable(events, self.choice.labels)
        if not events and not self.found:
            return [replace(heard.record("tag"), tags=(), threshold=self.choice.told)]
        return [self._record(heard, event) for event in events]

    def _record(self, heard: Heard, event: Event) -> Record:
        tag = Tag(self.choice.labels[event.position], round(event.score, DIGITS))
        stretch = replace(heard, start=event.start, end=event.end)
        return replace(stretch.record("tag"), tags=(tag,), threshold=self.choice.told)
