"""How a training gets on: the figures of its log, how long it will still take, and who asks it to stop.

The first step of a run may take ten times as long as the others: memory is got, kernels are made. And what is judged
in between takes its own time. So it is the usual step that counts, and what the last judgement took.

Ctrl-C may strike between two halves of an optimiser's step, where no state is worth saving. So the signal is noted,
the loop looks at the note between steps, saves, and lets whoever had the signal before have it. A second signal is
not held back: whoever asks twice wants no saving.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor

from samcli.errors import SamError
from samcli.training.team import Team

RECENT = 50  # steps
FEWEST = 3  # steps that are usual, before anything is said

HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none
SIGNALS = [number for number in (signal.SIGINT, signal.SIGTERM, HANG_UP) if number is not None]


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


class Stopping:
    """`with Stopping() as stopping:` holds the signals back; `stopping.asked` between steps, then `obey()`."""

    def __init__(self) -> None:
        self.asked: int | None = None  # the signal that asked
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # signals are the main thread's alone
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # ignored, as under nohup, or not Python's
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def obey(self) -> None:
        """Give the signal that was held back to whoever would have had it."""
        if self.asked is not None:
            self._let_go()
            signal.raise_signal(self.asked)

    def _let_go(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A helper process, forked while the signal was held back. Ctrl-C is its parent's affair.
            if number != signal.SIGINT:
                os._exit(128 + number)
            return
        if self.asked is not None:
            if number != HANG_UP:  # a closing terminal and its shell both send it: that is once, not twice
                self._let_go()
                signal.raise_signal(number)
            return
        self.asked = number


class LostWorkerError(SamError):
    """A process that prepares examples is gone."""


@contextmanager
def lost_workers(stopping: Stopping) -> Iterator[None]:
    """A killed process that prepared examples is reported in the middle of any step: nothing is saved then."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        stopping.obey()  # whoever stops a whole group of processes stops these, too
        raise LostWorkerError(
            "A process that prepares examples was killed, perhaps for lack of memory; "
            "the same command goes on from the last save."
        ) from error
