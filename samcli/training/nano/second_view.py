"""A scene as other hands would have stored it: in a room's noise, by telephone, coded, or begun a little later.

What is said of a sound should not depend on that: both views of a scene learn the same targets, and the second also
what the network says of the first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samcli.training.nano.mixer import (
    BINS,
    FRAMES_PER_STEP,
    NATS_PER_DB,
    SILENCE,
    FloatArray,
    colour_of_noise,
    grain_of_noise,
)

MOST_STEPS_LATER = 5  # 0.4 s
SOUNDING = 0.01  # of the loudest frame's power: where a sound is there
NOISE_BELOW_DB = (3.0, 24.0)
CODED_DB = (30.0, 50.0)  # below the loudest band of a frame, where a coder keeps nothing
TELEPHONE_LOW, TELEPHONE_HIGH = (6, 18), (68, 100)  # bands; a telephone's own are 15 and 73
LOST = np.float32(1e-7)  # of the power beyond a telephone's bands


class View(NamedTuple):
    mel: FloatArray  # (frames, bins) of log power
    later: int  # encoder steps that are cut off its beginning


def second_view(mel: FloatArray, rng: np.random.Generator) -> View:
    """At least one change; what was cut off at the beginning is missing at the end."""
    noisy, telephone, coded, late = rng.random(4) < (0.45, 0.35, 0.15, 0.25)
    noisy |= not (telephone or coded or late)
    later = int(rng.integers(1, MOST_STEPS_LATER + 1)) if late else 0
    power = np.exp(mel)
    if later:
        cut = later * FRAMES_PER_STEP
        quiet = np.broadcast_to(np.quantile(power, 0.1, axis=0).astype(np.float32), (cut, BINS))
        power = np.concatenate([power[cut:], quiet])[: len(mel)]
    if noisy:
        power = power + noise_below(power, float(rng.uniform(*NOISE_BELOW_DB)), rng)
    if telephone:
        power = power.copy()
        power[:, int(rng.integers(*TELEPHONE_HIGH)) :] *= LOST
        power[:, : int(rng.integers(*TELEPHONE_LOW))] *= LOST
    changed = np.log(power + SILENCE)
    if coded:
        kept = np.float32(rng.uniform(*CODED_DB)) * NATS_PER_DB
        changed = np.maximum(changed, changed.max(1, keepdims=True) - kept)
    return View(np.asarray(changed, np.float32), later)


def noise_below(power: FloatArray, below_db: float, rng: np.random.Generator) -> FloatArray:
    """Noise that lies so far below a sound while it sounds."""
    loud = power.mean(1)
    sounding = loud[loud >= loud.max() * SOUNDING]
    noise = grain_of_noise(len(power), rng) * colour_of_noise(rng)
    level = sounding.mean() / max(1e-20, float(noise.mean())) * 10 ** (-below_db / 10)
    return np.asarray(noise * np.float32(level), np.float32)
