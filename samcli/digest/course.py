"""The course of one sound: what is known of its events while they may still go on.

A course covers a stretch of time. What touches its edges is left open: a run of steps that began before it, or that
goes on behind it, and events that the neighbouring stretch may still join. Two courses, one after the other, are one:
the result is the same however time is cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from samcli.digest.events import GAP, Account, Event


class Course(NamedTuple):
    start: int
    end: int
    head: Event | None = None  # the run that touches the start
    tail: Event | None = None  # the run that touches the end; the same as the head where one run fills all
    first: Event | None = None  # the first event, which what came before may join
    account: Account = Account()  # the events that nothing can change any more
    last: Event | None = None  # the last event, where it is not the first
    best: Event | None = None  # the highest run that has ended, whether or not it is an event

    def followed_by(self, later: Course) -> Course:
        """One course of both."""
        head, ended, tail = self._seam(later)
        between = [run for run in ended if run.height >= 1]
        known = self.last or self.first
        joined = together([*([known] if known else []), *between, *([later.first] if later.first else [])])
        first, account = self.first, self.account
        if self.last is None:
            first, joined = (joined[0], joined[1:]) if joined else (None, [])
        last = later.last
        if last is None and joined:
            last = joined.pop()
        for event in joined:
            account = account.with_event(event)
        best = highest(self.best, later.best, *ended)
        return Course(self.start, later.end, head, tail, first, account.merged(later.account), last, best)

    def silent_until(self, end: int) -> Course:
        """The same with nothing of it heard from its end to another time."""
        return self if end == self.end else self.followed_by(Course(self.end, end))

    def closed(self) -> Account:
        """The account of all events, when nothing more is to come."""
        ends = [run if run is not None and run.height >= 1 else None for run in (self.head, self.tail)]
        if self._fills(self.head):
            ends[1] = None
        account = Account()
        opening, closing = [ends[0], self.first], [self.last, ends[1]]
        if self.last is None:
            opening, closing = [*opening, *closing], []
        for event in together(event for event in opening if event is not None):
            account = account.with_event(event)
        account = account.merged(self.account)
        for event in together(event for event in closing if event is not None):
            account = account.with_event(event)
        return account

    def _fills(self, run: Event | None) -> bool:
        return run is not None and (run.start, run.end) == (self.start, self.end)

    def _seam(self, later: Course) -> tuple[Event | None, list[Event], Event | None]:
        """Where two courses meet: the head and tail of both, and the runs that end there."""
        before, after = self.tail, later.head
        runs = [run for run in (before, after) if run is not None]
        if before is not None and after is not None:
            runs = [before.joined(after)]
        head, tail = self.head, later.tail
        reaches_start, reaches_end = self._fills(before), later._fills(after)
        if runs and reaches_start:
            head = runs[0]
        if runs and reaches_end:
            tail = runs[-1]
        if runs and (reaches_start or reaches_end):
            runs = []
        return head, runs, tail

    @property
    def nearest(self) -> Event | None:
        """The highest run of all: what comes nearest to an event where there is none."""
        return highest(self.head, self.best, self.tail)


def highest(*runs: Event | None) -> Event | None:
    """The earliest of the highest."""
    return max((run for run in runs if run is not None), key=lambda run: (run.height, -run.start), default=None)


def together(events: Iterable[Event]) -> list[Event]:
    """Events in order of time, those joined that nearly touch."""
    found: list[Event] = []
    for event in events:
        if found and event.start - found[-1].end <= GAP:
            found[-1] = found[-1].joined(event)
        else:
            found.append(event)
    return found
