"""Sounds and a model for the engine's tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from toy import Toy

RATE = 16_000


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Noise whose colour and loudness wander, so that no two stretches of it sound alike."""
    chance = np.random.default_rng(seed)
    wave = chance.standard_normal(round(seconds * RATE))
    colour = np.exp(-np.arange(32) / chance.uniform(0.5, 12))
    swell = 1 + 0.8 * np.sin(np.arange(len(wave)) / RATE * chance.uniform(0.5, 3) + chance.uniform(0, 6))
    return (level * np.convolve(wave, colour, mode="same") / np.linalg.norm(colour) * swell).astype(np.float32)


@pytest.fixture(scope="session")
def model() -> Toy:
    return Toy()


@pytest.fixture
def write() -> Callable[..., Path]:
    """write(path, seconds=1.0, seed=0): a sound file."""

    def make(path: Path, seconds: float = 1.0, seed: int = 0, level: float = 0.1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(seconds, seed, level), RATE, subtype="FLOAT")
        return path

    return make


@pytest.fixture
def folder(tmp_path: Path, write: Callable[..., Path]) -> Path:
    """A dozen sounds of all lengths, a silent one, and two that are not sound."""
    place = tmp_path / "sounds"
    for number, seconds in enumerate([1, 1, 10, 35.3, 0.01, 3.3, 12, 0.5, 20, 10.2, 1.04, 7.7]):
        write(place / f"{number:02}.wav", seconds, seed=number)
    write(place / "quiet" / "zero.wav", 11, level=0)
    (place / "bad.wav").write_text("this is not sound")
    (place / "empty.wav").touch()
    return place
