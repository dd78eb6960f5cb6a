"""What a model hears of a sound that goes on.

Every hop, 0.4 s, the encoder hears the last four seconds anew, and of its scores those of the hop are taken, and those
of the hop before it, which can be judged better now. Besides, each whole window of the model is heard as in a file:
what is kept of a day is what would be kept of its recording.

Where the level has stayed the same for all of a view, a fan or a quiet room, only every fourth hop is listened for, and
then to all four: nothing goes unheard. So it is in a hurry, too. The state is a value, and nothing depends on the
blocks the sound came in.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from samcli.audio.waves import Levels, levels_db
from samcli.engine.batches import device_of, padded_samples
from samcli.engine.cores import Cores
from samcli.engine.model_calls import WindowEncoder
from samcli.engine.options import RunReport
from samcli.engine.task import Scores, Task, Window
from samcli.engine.windows import Cut, Piece, Wave, window_lengths
from samcli.models.interface import SoundModel

HOP_SECONDS = 0.4  # how often is listened; half of it is what an event waits on average
VIEW_SECONDS = 4.0  # heard each time: the encoder judges a whole, and of less it judges worse
STEADY_DB = 5.0  # between the loudest and the quietest tenth of a second of a view: more is a change
NO_LEVELS: Levels = np.zeros(0)  # of a view: nobody asks for them
STEADY_HOPS = 4  # that are heard at once where nothing changes, or in a hurry


class Everything(Task):
    """What a live ear wants of each window."""

    name = "tag"
    wants_clip = wants_steps = True


class Tail(NamedTuple):
    """What is still in the ear."""

    wave: Wave  # the last samples, at most a window of the model
    position: int = 0  # samples heard since the beginning
    waiting: int = 0  # of them, those at the end that were not looked at yet
    seen: int = 0  # steps of the last look

    @classmethod
    def nothing(cls) -> Tail:
        return cls(np.zeros(0, np.float32))


class Glimpse(NamedTuple):
    """One hop, or some that are looked at together."""

    start: float  # seconds since the beginning
    end: float
    steps: Scores | None  # (steps, classes); None where it was silent
    before: Scores | None  # those of the glimpse before, as they look now


class Ear:
    """`tail, glimpse = ear.hear(tail, wave)`, hop after hop."""

    def __init__(self, model: SoundModel, step_seconds: float, silence_db: float) -> None:
        self.rate, self.silence_db = model.sample_rate, silence_db
        self.cut = Cut(self.rate, model.window_seconds, step_seconds=model.step_seconds)
        self.step = max(1, round(step_seconds * self.rate))
        steps = max(1, self.cut.window // self.step)
        most = max(1, round(HOP_SECONDS / step_seconds))
        # Hops that fill a window exactly: so each window is heard where one would lie in a file.
        self.hop = self.step * max(count for count in range(1, most + 1) if steps % count == 0)
        self.window = self.hop * max(1, self.cut.window // self.hop)
        self.view = min(self.window, self.hop * max(1, round(VIEW_SECONDS * self.rate / self.hop)))
        self.most = min(STEADY_HOPS * self.hop, self.view)  # that wait
        self.encoder = WindowEncoder(Everything(), model, Cores(device_of(model), 1), RunReport())

    def warm_up(self) -> None:
        """Let what is made at first use be made before there is something to hear."""
        self._encoded(np.zeros(self.view, np.float32), 0, NO_LEVELS)

    def hear(self, tail: Tail, wave: Wave, hurry: bool = False) -> tuple[Tail, list[Glimpse]]:
        """One hop more; the last of a sound may be shorter. A third of the work where there is a `hurry`."""
        held = np.concatenate([tail.wave, wave])[-self.window :]
        now = Tail(held, tail.position + len(wave), tail.waiting + len(wave), tail.seen)
        if levels_db(wave, self.rate).max(initial=-np.inf) < self.silence_db:
            silent = Glimpse(tail.position / self.rate, now.position / self.rate, None, None)
            return now._replace(waiting=0, seen=0), [*self.catch_up(tail)[1], silent]
        if now.waiting < self.most and (hurry or self._steady(held)):
            return now, []
        return self.catch_up(now)

    def catch_up(self, tail: Tail) -> tuple[Tail, list[Glimpse]]:
        """Look at what waits."""
        if not tail.waiting:
            return tail, []
        whole = tail.position % self.hop or self.hop
        view = tail.wave[-(self.view - self.hop + whole) :]
        found = self._encoded(view, tail.position - len(view), NO_LEVELS).steps
        steps = before = None
        if found is not None:
            at = len(found) - math.ceil(tail.waiting / self.step)
            steps, before = found[at:], found[max(0, at - tail.seen) : at]
        start, end = (tail.position - tail.waiting) / self.rate, tail.position / self.rate
        seen = 0 if steps is None else len(steps)
        return tail._replace(waiting=0, seen=seen), [Glimpse(start, end, steps, before)]

    def over(self, tail: Tail) -> list[Window]:
        """The window of the model that is over now, if there is one."""
        if not tail.position or tail.position % self.window:
            return []
        return [self._window(tail.wave, tail.position - self.window)]

    def _steady(self, wave: Wave) -> bool:
        """Whether its level has stayed the same for all of a view."""
        levels = levels_db(wave[-self.view :], self.rate)
        return len(wave) >= self.view and float(levels.max() - levels.min()) <= STEADY_DB

    def rest(self, tail: Tail) -> list[Window]:
        """What came after the last whole window, as windows of a sound that ends here."""
        at = tail.position // self.window * self.window
        wave, windows = tail.wave[len(tail.wave) - (tail.position - at) :], []
        for length in window_lengths(len(wave), self.cut.window, self.cut.grain):
            windows.append(self._window(wave[:length], at))
            at, wave = at + length, wave[length:]
        return windows

    def _window(self, wave: Wave, start: int) -> Window:
        levels = levels_db(wave, self.rate)
        if levels.max(initial=-np.inf) < self.silence_db:
            return Window(start / self.rate, (start + len(wave)) / self.rate, levels=levels)
        return self._encoded(wave, start, levels)

    def _encoded(self, wave: Wave, start: int, levels: Levels) -> Window:
        piece = Piece(0, 0, start, wave, True, levels)
        (found,) = self.encoder.begin(padded_samples(len(wave), self.rate), [piece]).results()
        return found[0]
