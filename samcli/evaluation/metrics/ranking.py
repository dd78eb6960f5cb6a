"""Retrieval: how high the right items stand in rankings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CUTS = (1, 5, 10)


def recall_hits(relevant: Sequence[frozenset[str]], ranked: Sequence[Sequence[str]], cut: int) -> NDArray[np.bool_]:
    """For each query whether a right item is among the first `cut`."""
    return np.array(
        [not right.isdisjoint(list(found)[:cut]) for right, found in zip(relevant, ranked, strict=True)], bool
    )


def average_precisions(
    relevant: Sequence[frozenset[str]], ranked: Sequence[Sequence[str]], cut: int = 10
) -> NDArray[np.float64]:
    """For each query the mean precision at its right items among the first `cut`, of as many as could be there."""
    values = []
    for right, found in zip(relevant, ranked, strict=True):
        hits, total = 0, 0.0
        for place, item in enumerate(list(found)[:cut], 1):
            if item in right:
                hits += 1
                total += hits / place
        values.append(total / max(1, min(len(right), cut)))
    return np.array(values, np.float64)


def ranked_by(scores: NDArray[np.floating], names: Sequence[str]) -> list[list[str]]:
    """The names by falling score (queries, items); equal scores in the order of the names given."""
    return [[names[int(place)] for place in np.argsort(-row, kind="stable")] for row in scores]
