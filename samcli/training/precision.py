"""Average precision: how well scores rank what is true above what is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Truth = NDArray[np.bool_]


def average_precision(truth: Truth, scores: Scores) -> float:
    """Area under precision against recall; clips of equal score are taken together, so their order is no luck."""
    order = np.argsort(-scores, kind="stable")
    hits, ranked = np.cumsum(truth[order]), scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # of each run of equal scores
    found = np.diff(hits[last], prepend=0)
    return float((found * hits[last] / (last + 1)).sum() / hits[-1])


def mean_precision(truth: Truth, scores: Scores, wanted: NDArray[np.intp]) -> float:
    """Over the wanted classes that any of these clips is of."""
    some = [c for c in wanted if truth[:, c].any()]
    return float(np.mean([average_precision(truth[:, c], scores[:, c]) for c in some])) if some else float("nan")
