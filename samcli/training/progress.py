"""How a training gets on: the figures of its log, and how long it will still take.

The first step of a run may take ten times as long as the others: memory is got, kernels are made. And what is judged
in between takes its own time. So it is the usual step that counts, and what the last judgement took.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from statistics import median

import torch
from torch import Tensor

from samcli.training.team import Team

RECENT = 50  # steps
FEWEST = 3  # steps that are usual, before anything is said


class Figures:
    """What the log says of the steps since its last line."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.examples = self.lent = 0  # gradients that a second core lent
        self.norm = 0.0  # of the latest gradient
        self._since = time.monotonic()

    def add(self, parts: Mapping[str, Tensor | float]) -> None:
        """`weight` is among them: how much was summed."""
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def begin(self) -> None:
        """Count from here; sums of a stopped run stay."""
        self.examples, self.lent, self._since = 0, 0, time.monotonic()

    def pause(self, seconds: float) -> None:
        """What took so long is no step."""
        self._since += seconds

    def rate(self) -> float:
        """Examples a second; the next ones are counted anew."""
        now = time.monotonic()
        rate, self._since, self.examples = self.examples / max(1e-9, now - self._since), now, 0
        return round(rate, 2)

    def means(self, team: Team) -> dict[str, float]:
        """Over all processes; the next ones begin anew."""
        found, self.sums = dict(sorted(self.sums.items())), {}
        if team.size > 1:
            sums = torch.tensor(list(found.values()), dtype=torch.float32, device=team.device)
            team.all_reduce([sums])
            found = dict(zip(found, sums.tolist(), strict=True))
        weight = found.pop("weight", 0.0) or 1.0
        return {name: value / weight for name, value in found.items()}


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
