"""Which of several good wordings is taken: drawn, but leaning on how loud the sound is.

A model that always says what is likeliest would tell every dog in one sentence if each sentence had the same chance for
every dog. So the choice drifts with something that can be heard and does not matter: the likeliest wording is another
one for a sound that is a few decibels louder.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

Item = TypeVar("Item")

FREELY = 0.25  # share of choices that follow nothing
SPREAD = 0.12  # of the others: how far they stray, as a share of the list


def lean(level_db: float, period_db: float) -> float:
    """0 to 1 and back as the level goes up by two periods, without a leap."""
    return abs((level_db / period_db) % 2 - 1)


def drift(options: Sequence[Item], place: float, rng: Random) -> Item:
    """One of the options, mostly from around `place` (0: the first, 1: the last)."""
    if rng.random() < FREELY:
        return rng.choice(options)
    at = int((place + rng.gauss(0, SPREAD)) * len(options))
    return options[min(max(at, 0), len(options) - 1)]
