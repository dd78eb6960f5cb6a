"""What a model hears of a sound that goes on.

Every hop, 0.4 s, the encoder hears the last four seconds anew, and of its scores those of the hop are taken, and those
of the hop before it, which can be judged better now. Besides, each whole window of the model is heard as in a file:
what is kept of a day is what would be kept of its recording. The state is a value, and nothing depends on the blocks
the sound came in.
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


class Everything(Task):
    """What a live ear wants of each window."""

    name = "tag"
    wants_clip = wants_steps = True


class Tail(NamedTuple):
    """What is still in the ear."""

    wave: Wave  # the last samples, at most a window of the model
    position: int = 0  # samples heard since the beginning

    @classmethod
    def nothing(cls) -> Tail:
        return cls(np.zeros(0, np.float32))


class Glimpse(NamedTuple):
    """One hop."""

    start: float  # seconds since the beginning
    end: float
    steps: Scores | None  # (steps, classes); None where it was silent
    before: Scores | None  # those of the hop before, as they look now
    levels: Levels  # of its tenths of a second
    windows: list[Window]  # of the model, that are over with it


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
        self.encoder = WindowEncoder(Everything(), model, Cores(device_of(model), 1), RunReport())

    def warm_up(self) -> None:
        """Let what is made at first use be made before there is something to hear."""
        self._encoded(np.zeros(self.view, np.float32), 0)

    def hear(self, tail: Tail, wave: Wave) -> tuple[Tail, Glimpse]:
        """One hop more; the last of a sound may be shorter."""
        held = np.concatenate([tail.wave, wave])[-self.window :]
        now = Tail(held, tail.position + len(wave))
        levels = levels_db(wave, self.rate)
        windows = [] if now.position % self.window else [self._window(held, now.position - self.window)]
        steps = before = None
        if levels.max(initial=-np.inf) >= self.silence_db:
            view = held[-(self.view - self.hop + len(wave)) :]
            found = self._encoded(view, now.position - len(view)).steps
            if found is not None:
                at = len(found) - math.ceil(len(wave) / self.step)
                steps, before = found[at:], found[max(0, at - self.hop // self.step) : at]
        return now, Glimpse(tail.position / self.rate, now.position / self.rate, steps, before, levels, windows)

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
        return self._encoded(wave, start)

    def _encoded(self, wave: Wave, start: int) -> Window:
        piece = Piece(0, 0, start, wave, True, levels_db(wave, self.rate))
        (found,) = self.encoder.begin(padded_samples(len(wave), self.rate), [piece]).results()
        return found[0]
