"""Sounds that no recordist uploads but every folder holds: silence, test tones, beeps and noises.

They are made from a seed, cost nothing to license, and teach the model to say "a steady tone" instead of inventing a
siren.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samcli.training.nano.corpus import Clip

RATE = 16_000
FloatArray = NDArray[np.float32]


def tone(rng: np.random.Generator, seconds: float) -> FloatArray:
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = float(np.exp(rng.uniform(np.log(80), np.log(6000))))
    wave = np.sin(2 * np.pi * pitch * time)
    if rng.random() < 0.3:  # a little harmonic distortion, as cheap generators have
        wave = wave + rng.uniform(0.02, 0.3) * np.sin(4 * np.pi * pitch * time)
    return np.asarray(wave, np.float32)


def beeps(rng: np.random.Generator, seconds: float) -> FloatArray:
    wave = tone(rng, seconds)
    period, on = rng.uniform(0.25, 1.2), rng.uniform(0.2, 0.6)
    time = np.arange(len(wave)) / RATE
    return np.asarray(wave * ((time % period) < on * period), np.float32)


def noise(rng: np.random.Generator, seconds: float, slope: float) -> FloatArray:
    """Noise whose power falls with frequency to the power `slope`: 0 white, 1 pink, 2 brown."""
    samples = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 20.0)
    wave = np.fft.irfft(spectrum * hertz ** (-slope / 2), samples)
    return np.asarray(wave / np.abs(wave).max(), np.float32)


def silence(rng: np.random.Generator, seconds: float) -> FloatArray:
    """From nothing at all to the hiss of a quiet preamplifier."""
    level = 0.0 if rng.random() < 0.3 else 10 ** (rng.uniform(-90, -62) / 20)
    return np.asarray(rng.standard_normal(int(seconds * RATE)) * level, np.float32)


def synthetic_clips(seed: int = 5, each: int = 60) -> list[tuple[Clip, FloatArray]]:
    """Labelled with the names of kinds of sound, at varied levels."""
    kinds = {
        "tone": (("Sine wave",), tone),
        "beep": (("Beep, bleep",), beeps),
        "static": (("White noise", "Noise"), lambda rng, s: noise(rng, s, rng.uniform(0, 0.3))),
        "noise": (("Pink noise", "Noise"), lambda rng, s: noise(rng, s, rng.uniform(0.8, 2.0))),
        "silence": (("Silence",), silence),
    }
    made: list[tuple[Clip, FloatArray]] = []
    for label, (names, make) in kinds.items():
        rng = np.random.default_rng((seed, len(made)))
        for number in range(each):
            seconds = float(rng.uniform(2, 12))
            wave = make(rng, seconds)
            if label != "silence":
                wave = wave * np.float32(10 ** (rng.uniform(-30, -3) / 20))
            clip = Clip(f"synthetic/{label}/{number}", "train", "synthetic", label, "class", names, label, seconds)
            made.append((clip, wave))
    return made
