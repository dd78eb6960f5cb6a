"""How far a text agrees with tags: whether the sounds it speaks of are among those that a tag head hears."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from samcli.text.labels import mentions, narrower

FLOOR = 1e-3  # of a probability, so that one missing sound does not outweigh all others
UNKNOWN = 0.05  # for a sound that the head has no label for: it may be there


def columns_of(text: str, places: Mapping[str, int]) -> list[list[int]]:
    """For each sound that a text speaks of, the places of all labels it may stand for; none where there is no label."""
    found = []
    for sound in mentions(text):
        wanted = {name for label in sound.labels for name in (label, *narrower(label))}
        found.append(sorted(places[name] for name in wanted if name in places))
    return found


def agreement(text: str, probabilities: NDArray[np.float32], labels: Sequence[str]) -> float:
    """The mean logarithm of the probabilities of the sounds a text speaks of; the least for one that names none."""
    columns = columns_of(text, _places(tuple(labels)))
    if not columns:
        return math.log(FLOOR)
    chances = [float(probabilities[places].max()) if places else UNKNOWN for places in columns]
    return sum(math.log(max(FLOOR, chance)) for chance in chances) / len(chances)


@lru_cache(maxsize=4)
def _places(labels: tuple[str, ...]) -> dict[str, int]:
    return {label: place for place, label in enumerate(labels)}
