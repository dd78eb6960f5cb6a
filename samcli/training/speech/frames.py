"""One recording as many: other voices, paces, rooms and microphones, made on its log-mel frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samcli.audio.fbank import FLOOR, MELS
from samcli.models.speech.network import STACK, TAIL_STEPS

Frames = NDArray[np.float32]  # (frames, mels) log energies

LEAST = math.log(FLOOR)
NARROW_BANDS = 96  # below 4 kHz, all that a telephone leaves
PER_DECIBEL = math.log(10) / 10


@dataclass(frozen=True)
class Variety:
    """How far examples stray from their recordings. All zero: not at all."""

    pace: float = 0.1  # share that speech is quicker or slower at most
    voice: float = 0.08  # share that its resonances move at most
    level: float = 8.0  # decibels up or down at most
    narrow: float = 0.2  # share that is heard as through a telephone
    noisy: float = 0.3  # share with noise
    loudest_noise: float = 20.0  # decibels below the speech
    masks: int = 2  # of bands, and as many of time


NONE = Variety(0, 0, 0, 0, 0, 0, 0)


def varied(frames: Frames, variety: Variety, rng: np.random.Generator) -> Frames:
    """Another voice at another pace, louder or softer."""
    if variety.pace:
        count = max(1, round(len(frames) * (1 + rng.uniform(-variety.pace, variety.pace))))
        frames = _between(frames, np.linspace(0, len(frames) - 1, count))
    if variety.voice:
        bands = np.arange(MELS) * (1 + rng.uniform(-variety.voice, variety.voice))
        frames = _between(frames.T, np.clip(bands, 0, MELS - 1)).T
    return frames + rng.uniform(-variety.level, variety.level) * PER_DECIBEL


def _between(rows: Frames, places: NDArray[np.float64]) -> Frames:
    """Rows at places between them."""
    low = np.minimum(places.astype(int), max(0, len(rows) - 2))
    high = np.minimum(low + 1, len(rows) - 1)
    part = (places - low)[:, None].astype(np.float32)
    mixed: Frames = rows[low] * (1 - part) + rows[high] * part
    return mixed


def joined(parts: Sequence[Frames], variety: Variety, rng: np.random.Generator) -> Frames:
    """One after another with pauses, in one room, and the silence that follows every recording."""
    quiet = min(float(np.quantile(part, 0.05)) for part in parts)
    pieces = []
    for part in parts:
        pause = rng.integers(0, 30) if variety.pace or len(parts) > 1 else 0  # up to 0.3 s
        pieces += [_hiss(int(pause), quiet, rng), part]
    frames = np.concatenate(pieces).astype(np.float32)
    if variety.noisy and rng.random() < variety.noisy:
        frames = _in_noise(frames, variety, rng)
    if variety.narrow and rng.random() < variety.narrow:
        frames[:, NARROW_BANDS:] = np.minimum(frames[:, NARROW_BANDS:], frames.min())
    for _ in range(variety.masks):
        _mask(frames, rng)
    frames = np.maximum(frames, LEAST)
    rest = -len(frames) % STACK + TAIL_STEPS * STACK
    return np.pad(frames, ((0, rest), (0, 0)), constant_values=LEAST)


def _hiss(count: int, level: float, rng: np.random.Generator) -> Frames:
    """Noise of one level, scattered about it as the energies of noise are."""
    noise: Frames = np.float32(level) + np.float32(0.7) * rng.standard_normal((count, MELS), np.float32)
    return noise


def _in_noise(frames: Frames, variety: Variety, rng: np.random.Generator) -> Frames:
    below = rng.uniform(variety.loudest_noise, 50.0)
    level = float(np.quantile(frames, 0.95)) - below * PER_DECIBEL
    tilt = np.linspace(rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), MELS, dtype=np.float32)
    mixed: Frames = np.logaddexp(frames, _hiss(len(frames), level, rng) + tilt)
    return mixed


def _mask(frames: Frames, rng: np.random.Generator) -> None:
    """A few bands and a moment are hidden behind the mean (SpecAugment)."""
    mean = float(frames.mean())
    width, length = int(rng.integers(0, 16)), int(rng.integers(0, 1 + min(40, len(frames) // 12)))
    band, start = int(rng.integers(0, MELS - width)), int(rng.integers(0, 1 + len(frames) - length))
    frames[:, band : band + width] = mean
    frames[start : start + length] = mean
