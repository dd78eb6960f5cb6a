"""Stretches and events of one sound, and what is kept of many.

A stretch is an unbroken run of steps above the lower threshold; it counts if one step reaches the upper. Stretches that
nearly touch are one event; what is then still too short is dropped. All times are whole milliseconds, so that sums do
not depend on the order in which they are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import nsmallest
from typing import NamedTuple

GAP = 500  # a shorter pause does not end an event
LEAST = 250  # a shorter event is dropped
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
