"""How loud a recording is over time, in few numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samcli.audio.windows import Levels

BINS = 128
FIRST_WIDTH = 1000  # milliseconds of a bin, doubled whenever there would be too many
TENTH = 100


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
