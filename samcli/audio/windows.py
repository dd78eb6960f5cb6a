"""A stream of blocks cut into windows with their times, and how loud a window is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.audio.resample import SAMPLE_RATE, Wave

Levels = NDArray[np.float64]  # in decibels of full scale

WINDOW_SECONDS = 10.0
QUIETEST_DB = -120.0  # what digital silence is given, so that levels stay finite
STRETCH_SECONDS = 0.1  # long enough to hold a click, short enough not to dilute it


class Window(NamedTuple):
    start: float  # seconds from the beginning of the sound
    end: float
    wave: Wave  # (samples,)


def regroup(blocks: Iterable[Wave], size: int) -> Iterator[Wave]:
    """The same samples in blocks of exactly `size`, the last one excepted."""
    pieces: list[Wave] = []
    held = 0
    for block in blocks:
        rest = block
        while held + rest.size >= size:
            take = size - held
            yield np.concatenate([*pieces, rest[:take]])
            pieces, held, rest = [], 0, rest[take:]
        if rest.size:
            pieces.append(rest.copy())  # the giver may use its buffer again
            held += rest.size
    if held:
        yield np.concatenate(pieces)


def cut(blocks: Iterable[Wave], seconds: float = WINDOW_SECONDS, rate: int = SAMPLE_RATE) -> Iterator[Window]:
    """Windows of `seconds`, in order and without gaps. The last one is as short as what is left; nothing is padded."""
    size = round(seconds * rate)
    if size < 1:
        raise ValueError(f"A window of {seconds} seconds holds no sample at {rate} Hz")
    at = 0
    for wave in regroup(blocks, size):
        yield Window(at / rate, (at + wave.size) / rate, wave)
        at += wave.size


def level_db(wave: Wave) -> float:
    """The level of a wave in decibels, 0 being a full-scale square wave; a constant offset is not counted as sound."""
    if wave.size == 0:
        return QUIETEST_DB
    deviation = float(np.std(wave, dtype=np.float64))
    return float(max(QUIETEST_DB, 20.0 * float(np.log10(deviation)))) if deviation > 0 else QUIETEST_DB


def levels_db(wave: Wave, rate: int = SAMPLE_RATE) -> Levels:
    """The level of every tenth of a second; a rest that is shorter has one of its own."""
    size = max(1, round(STRETCH_SECONDS * rate))
    whole = wave.size // size * size
    stretches = wave[:whole].reshape(-1, size)  # (stretches, size)
    deviations = np.std(stretches, axis=1, dtype=np.float64)
    levels = np.full(len(stretches), QUIETEST_DB)
    np.log10(deviations, out=levels, where=deviations > 0)
    levels[deviations > 0] *= 20.0
    rest = [level_db(wave[whole:])] if wave.size > whole else []
    found: Levels = np.maximum(QUIETEST_DB, np.concatenate([levels, rest]))
    return found
