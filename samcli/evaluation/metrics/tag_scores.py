"""Scores of tags against true labels: average precision, area under the ROC curve, d', top-1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from samcli.training.precision import average_precision

Scores = NDArray[np.floating]
Truth = NDArray[np.bool_]
LARGEST_D_PRIME = 8.0  # what a perfect ranking is given: the normal quantile of 1 has no value


@dataclass(frozen=True)
class ClassScores:
    """One class."""

    label: str
    positives: int
    average_precision: float
    auc: float

    @property
    def d_prime(self) -> float:
        return d_prime(self.auc)


def by_class(labels: list[str], truth: Truth, scores: Scores) -> list[ClassScores]:
    """Of the classes that some but not all items (items, classes) are of; the others cannot be ranked."""
    counts = truth.sum(0)
    return [
        ClassScores(
            labels[c],
            int(counts[c]),
            average_precision(truth[:, c], np.asarray(scores[:, c], np.float32)),
            auc(truth[:, c], scores[:, c]),
        )
        for c in np.flatnonzero((counts > 0) & (counts < len(truth)))
    ]


def auc(truth: Truth, scores: Scores) -> float:
    """The chance that a positive item scores above a negative one, ties counting half."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    ranks = np.empty(len(scores), np.float64)
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    ends = np.append(starts[1:], len(ranked))
    for start, end in zip(starts, ends, strict=True):
        ranks[order[start:end]] = (start + 1 + end) / 2  # the mean of the places that a tie takes, from 1
    positives = int(truth.sum())
    negatives = len(truth) - positives
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def d_prime(area: float) -> float:
    """How far apart positives and negatives lie, in standard deviations of normal curves with this area."""
    if not 0 < area < 1:
        return math.copysign(LARGEST_D_PRIME, area - 0.5)
    return math.sqrt(2) * NormalDist().inv_cdf(area)


def top_hits(truth: Truth, scores: Scores) -> Truth:
    """For each item whether its highest score is of a label it has; nothing said is wrong."""
    best = scores.argmax(1)
    rows = np.arange(len(scores))
    hits: Truth = truth[rows, best] & (scores[rows, best] > scores.min(1))
    return hits
