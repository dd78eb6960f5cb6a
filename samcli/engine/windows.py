"""A recording, cut into segments (one record each) and those into windows (what the encoder hears at once).

Nothing is dropped and nothing is heard twice. No sliver is judged alone: a tail shorter than half a window shares the
last two windows' time evenly, and what remains after the last segment, when shorter than a second, joins that
segment. The cut depends on the samples alone, never on the blocks they came in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.audio.waves import QUIETEST_DB, Levels, levels_db

Wave = NDArray[np.float32]

SLIVER_SECONDS = 1.0


class Piece(NamedTuple):
    """One window of one segment."""

    segment: int
    order: int  # of the window in its segment
    start: int  # first sample, counted from the start of the recording
    wave: Wave  # (samples,)
    last: bool  # of its segment
    levels: Levels  # of every tenth of a second, in dB of full scale; measured by the threads that cut
    final: bool = False  # in the last segment of its recording

    @property
    def level(self) -> float:
        """Of its loudest tenth of a second."""
        return max(QUIETEST_DB, float(self.levels.max(initial=QUIETEST_DB)))


def window_lengths(total: int, window: int, grain: int = 1) -> list[int]:
    """Samples of each window of a segment of `total` samples.

    Where the time is shared, the cut falls on a multiple of `grain`, a time step of the model, so that none is broken.
    """
    lengths = []
    while 2 * total >= 3 * window:
        lengths.append(window)
        total -= window
    if total > window:
        lengths.append(-(-total // (2 * grain)) * grain)
        total -= lengths[-1]
    return [*lengths, total] if total else lengths


@dataclass(frozen=True)
class Cut:
    """How recordings are cut."""

    rate: int  # samples per second
    window_seconds: float
    segment_seconds: float | None = None  # None: one segment
    step_seconds: float | None = None  # of the model
    each_window: bool = False  # is a segment of its own

    @property
    def window(self) -> int:
        """In samples, as the other properties."""
        return max(1, round(self.window_seconds * self.rate))

    @property
    def segment(self) -> int | None:
        return None if self.segment_seconds is None else max(1, round(self.segment_seconds * self.rate))

    @property
    def grain(self) -> int:
        # A step is short against a window; anything else is no time step but a model of its own kind.
        step = round((self.step_seconds or 0.1) * self.rate)
        return step if 0 < 8 * step <= self.window else 1

    @property
    def sliver(self) -> int:
        second = round(SLIVER_SECONDS * self.rate)
        return second if self.segment is None else min(second, self.segment // 2)


def cut(blocks: Iterable[Wave], how: Cut) -> Iterator[Piece]:
    """The pieces of a recording, in order, holding little more than two windows of it at a time."""
    return _Cutter(how).pieces(blocks)


class _Cutter:
    def __init__(self, how: Cut) -> None:
        self.rate = how.rate
        self.window, self.segment, self.sliver, self.grain = how.window, how.segment, how.sliver, how.grain
        self.each_window = how.each_window
        self.held: deque[Wave] = deque()  # blocks not yet cut
        self.available = 0  # samples in `held`
        self.position = 0  # samples cut so far
        self.number, self.order, self.into = 0, 0, 0  # segment, window in it, samples of it

    def pieces(self, blocks: Iterable[Wave]) -> Iterator[Piece]:
        for block in blocks:
            self.held.append(block)
            self.available += len(block)
            while self.available >= self._enough():
                yield from self._next(ended=False)
        while self.available:
            yield from self._next(ended=True)

    def _enough(self) -> int:
        """Samples in hand with which nothing that follows can change how the next window is cut."""
        most = self.window + self.window // 2
        return (most if self.segment is None else min(most, self.segment - self.into)) + self.sliver + 1

    def _next(self, ended: bool) -> Iterator[Piece]:
        """One window, or the last windows of the segment."""
        planned = self.available if self.segment is None else self.segment - self.into
        if not ended and (self.segment is None or 2 * planned >= 3 * self.window):
            yield self._take(self.window, last=False)
            return
        left = self.available if ended and self.available < planned + self.sliver else planned
        lengths = window_lengths(left, self.window, self.grain)
        final = ended and left == self.available
        for index, length in enumerate(lengths, 1):
            yield self._take(length, last=index == len(lengths), final=final)
        self.number, self.order, self.into = self.number + (not self.each_window), 0, 0

    def _take(self, length: int, last: bool, final: bool = False) -> Piece:
        taken, missing = [], length
        while missing:
            block = self.held.popleft()
            if len(block) > missing:
                self.held.appendleft(block[missing:])
                block = block[:missing]
            taken.append(block)
            missing -= len(block)
        wave = taken[0] if len(taken) == 1 else np.concatenate(taken)
        last = last or self.each_window
        piece = Piece(self.number, self.order, self.position, wave, last, levels_db(wave, self.rate), final)
        self.into += length
        if self.each_window:
            self.number += 1
        else:
            self.order += 1
        self.position, self.available = self.position + length, self.available - length
        return piece
