"""The digest of a recording: for each sound when it was heard, how often and how plainly; how loud it was, and when.

    digest = Digest.empty(rows)
    digest = digest.followed_by(window(rows, start, end, steps, clip, levels))

Memory is bounded: a sound that was never nearly heard takes none, any other some dozens of events and at most 128 bins.
Digests of neighbouring stretches of time join to the digest of both, exactly, however a recording was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.audio.waves import Levels
from samcli.digest.events import Account, Course, Event
from samcli.digest.names import Rows

BINS = 128
FIRST_WIDTH = 1000  # milliseconds of a bin, doubled whenever there would be too many
TENTH = 100  # milliseconds over which a level is measured


class Bin(NamedTuple):
    tenths: int = 0  # of a second that were measured
    total: int = 0  # the sum of their levels in tenths of a decibel: whole numbers, so that order tells nothing
    highest: int = -2000

    def merged(self, other: Bin) -> Bin:
        return Bin(self.tenths + other.tenths, self.total + other.total, max(self.highest, other.highest))

    @property
    def mean(self) -> float:
        """In decibels of full scale."""
        return self.total / max(1, self.tenths) / 10


class Level(NamedTuple):
    """The level of each bin, and the loudest moment."""

    width: int = FIRST_WIDTH
    bins: tuple[tuple[int, Bin], ...] = ()  # by number
    highest: int = -2000  # tenths of a decibel
    at: int = 0  # milliseconds

    @classmethod
    def of(cls, start: int, levels: Levels | None, end: int) -> Level:
        """Of levels every tenth of a second from `start` on."""
        if levels is None or not len(levels):
            return cls()
        width = FIRST_WIDTH
        while end > BINS * width:
            width *= 2
        found: dict[int, Bin] = {}
        for place, level in enumerate(np.rint(levels * 10).astype(int).tolist()):
            number = (start + place * TENTH) // width
            found[number] = found.get(number, Bin()).merged(Bin(1, level, level))
        loudest = int(np.argmax(np.rint(levels * 10)))
        return cls(width, tuple(sorted(found.items())), round(10 * float(levels[loudest])), start + loudest * TENTH)

    def followed_by(self, later: Level) -> Level:
        if not self.bins or not later.bins:
            return self if self.bins else later
        width = max(self.width, later.width)
        found: dict[int, Bin] = {}
        for part in (self, later):
            for number, own in part.bins:
                place = number * part.width // width
                found[place] = found.get(place, Bin()).merged(own)
        highest, at = (self.highest, self.at) if self.highest >= later.highest else (later.highest, later.at)
        return Level(width, tuple(sorted(found.items())), highest, at)


Scores = NDArray[np.float32]

# Narrower than the timeline's, which draws what is counted here: pauses between barks are short and shallow.
LOWER = 0.75  # of a threshold: an event goes on until its score falls below it


class Peaks(NamedTuple):
    """Of each class its highest step, however low."""

    scores: Scores  # (classes,)
    at: NDArray[np.int64]  # (classes,): where that step begins, in milliseconds

    def merged(self, later: Peaks) -> Peaks:
        higher = later.scores > self.scores
        return Peaks(np.where(higher, later.scores, self.scores), np.where(higher, later.at, self.at))


class Digest(NamedTuple):
    """What is kept of the time from `start` to `end`, in milliseconds."""

    start: int
    end: int
    courses: Mapping[int, Course]  # by row; a course may end before the digest does: since then nothing of it was heard
    best: Scores | None = None  # (classes,): the highest of the windows' probabilities
    heard: int = 0  # milliseconds that were not silent
    level: Level = Level()
    peaks: Peaks | None = None

    @classmethod
    def empty(cls, start: int = 0) -> Digest:
        return cls(start, start, {})

    def followed_by(self, later: Digest) -> Digest:
        """One digest of both; `later` begins where this one ends."""
        if later.start != self.end:
            raise ValueError(f"a digest from {later.start} ms cannot follow one that ends at {self.end} ms")
        courses = dict(self.courses)
        for row, course in self.courses.items():
            if row not in later.courses and course.tail is not None and course.end == self.end:
                courses[row] = course.silent_until(later.end)
        for row, course in later.courses.items():
            known = self.courses.get(row) or Course(self.start, self.start)
            courses[row] = known.silent_until(later.start).followed_by(course)
        best = [scores for scores in (self.best, later.best) if scores is not None]
        peaks = self.peaks.merged(later.peaks) if self.peaks and later.peaks else self.peaks or later.peaks
        return Digest(
            self.start,
            later.end,
            courses,
            np.maximum.reduce(best) if best else None,
            self.heard + later.heard,
            self.level.followed_by(later.level),
            peaks,
        )

    def accounts(self) -> dict[int, Account]:
        """Of each row that was heard at all."""
        found = {row: course.silent_until(self.end).closed() for row, course in self.courses.items()}
        return {row: account for row, account in found.items() if account.number}

    @property
    def duration(self) -> int:
        return self.end - self.start


def window(
    rows: Rows,
    start: float,
    end: float,
    steps: Scores | None,
    clip: Scores | None = None,
    levels: Levels | None = None,
    step_seconds: float = 0.08,
) -> Digest:
    """The digest of one window: probabilities (steps, classes) and (classes,), None when it was silent.

    `levels` (tenths of a second,) are in decibels of full scale.
    """
    first, last = milliseconds(start), milliseconds(end)
    level = Level.of(first, levels, last)
    if steps is None or not len(steps):
        return Digest(first, last, {}, clip, 0, level)
    edges = [min(last, first + round(1000 * step_seconds * place)) for place in range(len(steps))] + [last]
    courses = {row: _course(runs, first, last) for row, runs in _runs(rows, steps, edges, levels).items()}
    peaks = Peaks(steps.max(0), np.array(edges, np.int64)[steps.argmax(0)])
    return Digest(first, last, courses, clip, last - first, level, peaks)


def milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _runs(rows: Rows, steps: Scores, edges: list[int], levels: Levels | None) -> dict[int, list[Event]]:
    """The unbroken runs of each row above its lower threshold."""
    heights = steps / rows.thresholds  # (steps, classes)
    plain = heights.max(0) >= LOWER
    found: dict[int, list[Event]] = {}
    for row in np.flatnonzero(rows.above[:, plain].any(1)).tolist():
        columns = rows.members[row]
        columns = columns[plain[columns]]
        own = heights[:, columns]
        best = own.max(1)  # (steps,)
        bounds = np.flatnonzero(np.diff(np.concatenate([[False], best >= LOWER, [False]])))
        for begin, finish in zip(bounds[::2].tolist(), bounds[1::2].tolist(), strict=True):
            at = begin + int(best[begin:finish].argmax())
            member = int(columns[int(own[at].argmax())])
            found.setdefault(row, []).append(
                Event(
                    edges[begin],
                    edges[finish],
                    float(best[at]),
                    float(steps[at, member]),
                    member,
                    _loudest(levels, edges[begin] - edges[0], edges[finish] - edges[0]),
                )
            )
    return found


def _loudest(levels: Levels | None, start: int, end: int) -> int:
    """The loudest tenth of a second from `start` to `end`, in tenths of a decibel."""
    if levels is None or not len(levels):
        return -1000
    within = levels[min(start // TENTH, len(levels) - 1) : max(start // TENTH + 1, -(-end // TENTH))]
    return round(10 * float(within.max()))


def _course(runs: list[Event], start: int, end: int) -> Course:
    """The course of a window by its runs."""
    course: Course | None = None
    for run in runs:
        own = _alone(run, start, end)
        course = own if course is None else course.silent_until(own.start).followed_by(own)
    assert course is not None
    if course.start > start:
        course = Course(start, course.start).followed_by(course)
    return course.silent_until(end)


def _alone(run: Event, start: int, end: int) -> Course:
    return Course(run.start, run.end, run, run)
