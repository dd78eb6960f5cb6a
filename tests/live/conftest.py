"""For what listens: a small model, a sound in which something happens, and what a listener makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from samcli.live.listener import Listener, LiveOptions, Told
from tests.engine.toy import LABELS, Toy

RATE = 16_000


def scene(seconds: float, seed: int = 0) -> np.ndarray:
    """Noises and tones that come and go, with silence between: float32 mono."""
    chance = np.random.default_rng(seed)
    wave = np.zeros(round(seconds * RATE), np.float32)
    at = 0
    while at < len(wave):
        length = min(len(wave) - at, int(chance.integers(RATE // 4, RATE * 3)))
        if chance.random() < 0.7:
            times = np.arange(length) / RATE
            tone = np.sin(2 * np.pi * chance.uniform(100, 6000) * times) * chance.uniform(0, 0.4)
            wave[at : at + length] = tone + chance.standard_normal(length) * chance.uniform(0.001, 0.2)
        at += length
    return wave


class Known(Toy):
    """The toy with labels that sentences can be made of."""

    name = "known"
    labels = (*LABELS[:-1], "Whistling")


@pytest.fixture
def model() -> Any:
    return Known()


@pytest.fixture
def listener(model: Any) -> Callable[..., Listener]:
    """A fresh listener."""

    def make(**options: Any) -> Listener:
        return Listener(model, LiveOptions(**{"threshold": 0.6, **options}))

    return make


def heard(listener: Listener, blocks: Iterable[np.ndarray], finish: bool = True) -> list[Told]:
    """All that is told of these blocks."""
    told = [one for block in blocks for one in listener.take(block)]
    return told + (list(listener.finish()) if finish else [])
