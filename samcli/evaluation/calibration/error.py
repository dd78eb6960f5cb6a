"""How far scores are from how often they are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 15
LEAST = 0.05  # what is scored lower is not called a tag


def calibration_error(
    scores: NDArray[np.float32], truth: NDArray[np.bool_], least: float = LEAST, bins: int = BINS
) -> float:
    """The expected calibration error of all tags of at least this score; NaN when there is none.

    Tags of like scores go together; of each such bin the mean score should be the share that is right.
    """
    chosen = scores >= least
    score, right = scores[chosen].astype(np.float64), truth[chosen]
    if not score.size:
        return float("nan")
    place = np.minimum((score * bins).astype(int), bins - 1)
    scored = np.bincount(place, score, minlength=bins)
    were_right = np.bincount(place, right, minlength=bins)
    return float(np.abs(scored - were_right).sum() / score.size)
