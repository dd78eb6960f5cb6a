"""How long a training will still take.

The first step of a run may take ten times as long as the others: memory is got, kernels are made. And what is judged
in between takes its own time. So it is the usual step that counts, and what the last judgement took.
"""

from __future__ import annotations

import time
from collections import deque
from statistics import median

RECENT = 50  # steps
FEWEST = 3  # steps that are usual, before anything is said


class TimeLeft:
    """Call `step` after every step; `left` estimates the rest."""

    def __init__(self, judging: float = 0.0) -> None:
        self.judging = judging  # seconds of the last judgement
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._last: float | None = None
        self._first = True

    def step(self, now: float | None = None) -> None:
        """Another step is done."""
        now = time.monotonic() if now is None else now
        if self._last is not None:
            if not self._first:
                self._steps.append(now - self._last)
            self._first = False
        self._last = now

    def judged(self, seconds: float, now: float | None = None) -> None:
        """A judgement took so long; the next step is counted from here."""
        self.judging = seconds
        if self._last is not None:
            self._last = time.monotonic() if now is None else now

    @property
    def each(self) -> float | None:
        """Seconds of a usual step; None while too little is known."""
        return median(self._steps) if len(self._steps) >= FEWEST else None

    def left(self, steps: int, judgements: float = 0.0) -> float | None:
        """Seconds until so many more steps and judgements are done."""
        return None if self.each is None else round(steps * self.each + judgements * self.judging, 1)
