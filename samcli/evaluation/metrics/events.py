"""Events found against events that are there: F1 with a collar around each start and end, and F1 by segments.

An event counts as found when one of the same label starts within the collar and ends within the collar, or within
half the true event's length where that is more. Every event is matched at most once, so that as many as possible are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COLLAR_SECONDS = 0.5
LENGTH_SHARE = 0.5  # of the true event, by which its end may be missed
SEGMENT_SECONDS = 1.0


class LabelledEvent(NamedTuple):
    label: str
    start: float  # seconds
    end: float


@dataclass(frozen=True)
class Counts:
    """Right, missed and invented."""

    hits: int = 0
    misses: int = 0
    inventions: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hits + other.hits, self.misses + other.misses, self.inventions + other.inventions)

    @property
    def precision(self) -> float:
        return self.hits / max(1, self.hits + self.inventions)

    @property
    def recall(self) -> float:
        return self.hits / max(1, self.hits + self.misses)

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(1, 2 * self.hits + self.misses + self.inventions)


def f1_of(counts: Sequence[Counts]) -> Callable[[NDArray[np.int64]], float]:
    """The F1 of drawn recordings, for an interval."""
    return lambda rows: sum((counts[int(row)] for row in rows), Counts()).f1


def collar_counts(found: Iterable[LabelledEvent], there: Iterable[LabelledEvent], ends: bool = True) -> Counts:
    """Events of one recording; without `ends` only the starts must agree."""
    guesses, truths = _by_label(found), _by_label(there)
    total = Counts()
    for label in sorted(guesses.keys() | truths.keys()):
        mine, true = guesses.get(label, []), truths.get(label, [])
        fits = []
        for truth in true:
            slack = max(COLLAR_SECONDS, LENGTH_SHARE * (truth.end - truth.start)) if ends else float("inf")
            fits.append(
                [
                    place
                    for place, event in enumerate(mine)
                    if abs(event.start - truth.start) <= COLLAR_SECONDS + 1e-9
                    and abs(event.end - truth.end) <= slack + 1e-9
                ]
            )
        hits = most_pairs(fits)
        total += Counts(hits, len(true) - hits, len(mine) - hits)
    return total


def segment_counts(
    found: Iterable[LabelledEvent],
    there: Iterable[LabelledEvent],
    duration: float,
    segment: float = SEGMENT_SECONDS,
) -> Counts:
    """Labels that sound in each stretch of `segment` seconds, of one recording."""
    guesses, truths = _stretches(found, duration, segment), _stretches(there, duration, segment)
    total = Counts()
    for label in guesses.keys() | truths.keys():
        mine, true = guesses.get(label, []), truths.get(label, [])
        hits = _shared(mine, true)
        total += Counts(hits, _cells(true) - hits, _cells(mine) - hits)
    return total


def most_pairs(fits: Sequence[Sequence[int]]) -> int:
    """The largest number of pairs, each left one with one of the right ones it fits, none used twice."""
    partner: dict[int, int] = {}

    def place(left: int, tried: set[int]) -> bool:
        for right in fits[left]:
            if right not in tried:
                tried.add(right)
                if right not in partner or place(partner[right], tried):
                    partner[right] = left
                    return True
        return False

    return sum(place(left, set()) for left in range(len(fits)))


def _by_label(events: Iterable[LabelledEvent]) -> dict[str, list[LabelledEvent]]:
    sorted_events: dict[str, list[LabelledEvent]] = {}
    for event in events:
        sorted_events.setdefault(event.label, []).append(event)
    return sorted_events


def _stretches(events: Iterable[LabelledEvent], duration: float, segment: float) -> dict[str, list[tuple[int, int]]]:
    """The segments in which each label sounds, as ranges in order that do not touch: a time may be any number."""
    stretches: dict[str, list[tuple[int, int]]] = {}
    for label, marked in _by_label(events).items():
        joined: list[tuple[int, int]] = []
        for first, last in sorted(_range(event, duration, segment) for event in marked):
            if joined and first <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
            else:
                joined.append((first, last))
        stretches[label] = joined
    return stretches


def _range(event: LabelledEvent, duration: float, segment: float) -> tuple[int, int]:
    first = int(np.floor(event.start / segment + 1e-9))
    last = int(np.ceil(min(event.end, duration) / segment - 1e-9))
    return first, max(last, first)


def _cells(stretches: Sequence[tuple[int, int]]) -> int:
    return sum(last - first for first, last in stretches)


def _shared(mine: Sequence[tuple[int, int]], true: Sequence[tuple[int, int]]) -> int:
    """How many segments are in both."""
    shared, here, there = 0, 0, 0
    while here < len(mine) and there < len(true):
        (first, last), (start, end) = mine[here], true[there]
        shared += max(0, min(last, end) - max(first, start))
        here, there = here + (last <= end), there + (last > end)
    return shared
