"""Stretches and events of one sound, and what is kept of many.

A stretch is an unbroken run of steps above the lower threshold; it counts if one step reaches the upper. Stretches that
nearly touch are one event; what is then still too short is dropped. All times are whole milliseconds, so that sums do
not depend on the order in which they are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import NamedTuple

GAP = 320  # a shorter pause does not end an event: of half a second, scores show about so much
LEAST = 160  # a shorter event is dropped
KEPT = 8  # events kept of each: the first, the last, the plainest
BINS = 128  # of a recording, at most


class Event(NamedTuple):
    """One sound from `start` to `end`, in milliseconds."""

    start: int
    end: int
    height: float  # of its best step, against the threshold: 1 is just heard
    score: float  # the probability there
    member: int  # the class that was plainest there
    level: int = -1000  # the loudest tenth of a second within, in tenths of a decibel of full scale

    def joined(self, later: Event) -> Event:
        """With another that follows."""
        best = self if (self.height, -self.start) >= (later.height, -later.start) else later
        return Event(self.start, later.end, best.height, best.score, best.member, max(self.level, later.level))

    @property
    def length(self) -> int:
        return self.end - self.start


class Account(NamedTuple):
    """What is kept of the events of one sound."""

    number: int = 0  # of events
    total: int = 0  # milliseconds
    first: tuple[Event, ...] = ()
    last: tuple[Event, ...] = ()
    plainest: tuple[Event, ...] = ()
    longest: Event | None = None
    loudest: Event | None = None
    width: int = 1000  # of a bin, in milliseconds: a second times a power of two
    bins: tuple[tuple[int, int], ...] = ()  # number of a bin, milliseconds of sound in it

    def with_event(self, event: Event) -> Account:
        if event.length < LEAST:
            return self
        return self.merged(Account.of(event))

    @classmethod
    def of(cls, event: Event) -> Account:
        alone = (event,)
        return cls(1, event.length, alone, alone, alone, event, event, *_binned(event))

    def merged(self, later: Account) -> Account:
        """With the account of a later stretch of time."""
        if not self.number or not later.number:
            return self if self.number else later
        width = max(self.width, later.width)
        bins = dict(coarser(self.bins, self.width, width))
        for place, amount in coarser(later.bins, later.width, width):
            bins[place] = bins.get(place, 0) + amount
        kept = tuple(sorted(bins.items()))
        while kept and kept[-1][0] >= BINS:
            kept, width = coarser(kept, width, 2 * width), 2 * width
        plain = nsmallest(KEPT, {*self.plainest, *later.plainest}, key=lambda event: (-event.height, event.start))
        return Account(
            self.number + later.number,
            self.total + later.total,
            (self.first + later.first)[:KEPT],
            (self.last + later.last)[-KEPT:],
            tuple(plain),
            _most(self.longest, later.longest, lambda event: event.length),
            _most(self.loudest, later.loudest, lambda event: event.level),
            width,
            kept,
        )

    @property
    def events(self) -> tuple[Event, ...]:
        """All that are kept, in order; every event there was if there were at most twice as many as are kept."""
        return tuple(sorted({*self.first, *self.last, *self.plainest}))

    @property
    def complete(self) -> bool:
        return len(self.events) == self.number


def coarser(bins: tuple[tuple[int, int], ...], width: int, wider: int) -> tuple[tuple[int, int], ...]:
    """The same amounts in wider bins."""
    if width == wider:
        return bins
    found: dict[int, int] = {}
    for place, amount in bins:
        found[place * width // wider] = found.get(place * width // wider, 0) + amount
    return tuple(sorted(found.items()))


def _binned(event: Event) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The width of bins that suits its end, and its milliseconds in each."""
    width = 1000
    while event.end > BINS * width:
        width *= 2
    places = range(event.start // width, -(-event.end // width))
    return width, tuple(
        (place, min(event.end, (place + 1) * width) - max(event.start, place * width)) for place in places
    )


def _most(one: Event | None, other: Event | None, measure: Callable[[Event], int]) -> Event | None:
    """The one with more of it, the earlier where both are alike."""
    if one is None or other is None:
        return one or other
    return one if measure(one) >= measure(other) else other


class Course(NamedTuple):
    """What is known of the events of one sound while they may still go on.

    What touches the edges of its stretch of time is left open: a run of steps that began before it, or that goes on
    behind it, and events that the neighbouring stretch may still join. Two courses, one after the other, are one: the
    result is the same however time is cut.
    """

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
