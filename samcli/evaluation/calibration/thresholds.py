"""From which score on a label is called heard: where its F1 is best, on recordings whose labels are known.

A label with few recordings leans on what all labels have in common, as if it had a few more of the usual kind; one
with none takes the common threshold. What thresholds are worth is judged with those that other sources chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samcli.evaluation.calibration.maps import folds_of
from samcli.evaluation.figures import DRAWS, LEVEL, SEED

Scores = NDArray[np.float32]
Truth = NDArray[np.bool_]
Numbers = NDArray[np.float64]

GRID = np.arange(1, 100) / 100  # thresholds to choose from
USUAL = 5.0  # recordings of the usual kind that are added to each label's own
COMMON = 0.5  # where nothing is known at all
FOLDS = 10


@dataclass(frozen=True)
class Thresholds:
    """One for each label, and one for labels that no recording has."""

    labels: tuple[float, ...]
    common: float


@dataclass(frozen=True)
class Verdict:
    """What a label's threshold is worth, with the ends of 95 % intervals; None where nothing could be judged."""

    recordings: int  # that have the label
    sources: int
    precision: tuple[float, float, float] | None  # value, low, high
    recall: tuple[float, float, float] | None
    f1: tuple[float, float, float] | None


def best_thresholds(scores: Scores, truth: Truth, usual: float = USUAL) -> Thresholds:
    """Of scores (recordings, labels) from 0 to 1, and which labels are right."""
    hits, called = _reached(scores, truth), _reached(scores, np.ones_like(truth))
    positives = truth.sum(0).astype(np.float64)
    if not positives.sum():
        return Thresholds((COMMON,) * truth.shape[1], COMMON)
    every_hit, every_call = hits.sum(0) / positives.sum(), called.sum(0) / positives.sum()  # of a usual positive
    common = _best(every_hit, every_call, 1.0)
    labels = [
        _best(mine + usual * every_hit, calls + usual * every_call, count + usual) if count else common
        for mine, calls, count in zip(hits, called, positives, strict=True)
    ]
    return Thresholds(tuple(labels), common)


def _best(hits: Numbers, called: Numbers, positives: float) -> float:
    """The middle of the thresholds with the best F1 = 2 hits / (called + positives)."""
    f1 = 2 * hits / (called + positives)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(GRID[best[(len(best) - 1) // 2]])


def _reached(scores: Scores, counted: Truth) -> Numbers:
    """How many of the counted scores reach each threshold: (labels, thresholds)."""
    labels = scores.shape[1]
    steps = np.floor(np.round(scores.astype(np.float64), 4) * 100 + 1e-9).astype(int).clip(0, 99)
    cells = (np.arange(labels) * 100 + steps)[counted]
    counts = np.bincount(cells, minlength=labels * 100).reshape(labels, 100)
    return counts[:, ::-1].cumsum(1)[:, ::-1][:, 1:].astype(np.float64)


def judged(scores: Scores, truth: Truth, sources: Sequence[str], usual: float = USUAL) -> list[Verdict]:
    """Each label's verdict, every source by thresholds that the others chose."""
    names, place = np.unique(np.asarray(sources, dtype=object).astype(str), return_inverse=True)
    called, folds = np.zeros_like(truth), folds_of(sources, FOLDS)
    alone = len(names) == 1  # nobody else to choose
    for number in np.unique(folds):
        out = folds == number
        chosen = best_thresholds(scores, truth, usual) if alone else best_thresholds(scores[~out], truth[~out], usual)
        called[out] = np.round(scores[out], 4) >= np.asarray(chosen.labels, np.float32) - 1e-6
    parts = (truth & called, called, truth)
    hit, call, right = (_by_source(part, place, len(names)) for part in parts)  # (sources, labels)
    chance = np.random.default_rng(SEED)
    draws = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS).astype(np.float64)
    drawn = _ratios(draws @ hit, draws @ call, draws @ right)
    found = _ratios(hit.sum(0), call.sum(0), right.sum(0))
    return [
        Verdict(
            int(right[:, label].sum()),
            int((right[:, label] > 0).sum()),
            *(_with_ends(value[label], among[:, label]) for value, among in zip(found, drawn, strict=True)),
        )
        for label in range(truth.shape[1])
    ]


def _by_source(part: Truth, place: NDArray[np.intp], sources: int) -> Numbers:
    counts = np.zeros((sources, part.shape[1]))
    np.add.at(counts, place, part)
    return counts


def _ratios(hit: Numbers, call: Numbers, right: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Precision, recall and F1; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return hit / call, hit / right, np.where(right > 0, 2 * hit / (call + right), np.nan)


def _with_ends(value: float, drawn: Numbers) -> tuple[float, float, float] | None:
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(known):
        return None
    edge = (100 - LEVEL) / 2
    low, high = np.percentile(known, [edge, 100 - edge])
    return float(value), float(low), float(high)
