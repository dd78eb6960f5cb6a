"""The last step of sam-nano's recipe: scores that say how often they are right, by sources held back from training.

Logits go through a map: one scale and one shift for all labels, and a shift of each label beside them that is drawn
towards zero, for a label with few clips says little about itself. The map keeps the order of a label's clips, and is
folded into the weights of the head, so that it costs nothing where a model runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from samcli.checkpoints.calibration import Calibration
from samcli.checkpoints.loading import load_model
from samcli.engine.hearing import Progress
from samcli.errors import ModelError, UsageError
from samcli.evaluation.calibration import best_thresholds, folds_of
from samcli.evaluation.nano.left_out import left_out_clips, scores_of, truth_of
from samcli.evaluation.nano.tags import POSITIVES
from samcli.models.encoders.base import Encoder
from samcli.models.encoders.nano import NanoEncoder
from samcli.training.nano.corpus import Corpus

Logits = NDArray[np.float32]
Truth = NDArray[np.bool_]
Numbers = NDArray[np.float64]

# How strongly labels' shifts are held at zero, in clips' worth of doubt; which one is chosen on sources left out.
HOLDS = (2.0, 8.0, 32.0, 128.0, 1e6)
FOLDS = 5
ITERATIONS, SHORTEST = 40, 1e-4  # steps at most, and the part of one that is not worth taking

LEAST = 1e-6  # of a score, before its logit is taken
STEP_THRESHOLD = 0.35  # of a timeline's steps, which labels of whole clips do not teach


@dataclass(frozen=True)
class LogitMap:
    """scale * logit + shifts[label]."""

    scale: float
    shifts: tuple[float, ...]  # of each label, the common one included

    def __call__(self, logits: Logits) -> Logits:
        return np.asarray(logits * np.float32(self.scale) + np.asarray(self.shifts, np.float32), np.float32)


def fit_map(logits: Logits, truth: Truth, sources: Sequence[str]) -> LogitMap:
    """The map of least cross-entropy for clips (clips, labels) whose right labels are known.

    How far a label may go its own way is judged on sources left out: clips of one source sound alike.
    """
    folds = folds_of(sources, FOLDS)
    hold = HOLDS[-1]
    if len(np.unique(folds)) > 1:
        hold = min(HOLDS, key=lambda one: _left_out_loss(logits, truth, folds, one))
    return _fit(logits, truth, hold)


def _left_out_loss(logits: Logits, truth: Truth, folds: NDArray[np.intp], hold: float) -> float:
    total = 0.0
    for fold in np.unique(folds):
        out = folds == fold
        found = _fit(logits[~out], truth[~out], hold)
        total += _cross_entropy(found(logits[out]), truth[out])
    return total


def _cross_entropy(logits: NDArray[Any], truth: Truth) -> float:
    return float((np.logaddexp(0.0, logits) - truth * logits).sum())


def _fit(logits: Logits, truth: Truth, hold: float) -> LogitMap:
    """Newton's method; labels meet in the common scale and shift alone, so that each step is solved label by label."""
    x = logits.astype(np.float64)
    scale, shift, own = 1.0, 0.0, np.zeros(x.shape[1])

    def loss(scale: float, shift: float, own: Numbers) -> float:
        if scale <= 0:
            return np.inf
        return _cross_entropy(scale * x + shift + own, truth) + hold / 2 * float(np.square(own).sum())

    best = loss(scale, shift, own)
    for _ in range(ITERATIONS):
        (towards_scale, towards_shift), towards_own = _newton_step(x, truth, scale, shift, own, hold)
        length = 1.0
        while length > SHORTEST:  # a whole step may go too far
            tried = scale - length * towards_scale, shift - length * towards_shift, own - length * towards_own
            found = loss(*tried)
            if found <= best:
                break
            length /= 2
        else:
            break
        (scale, shift, own), gained, best = tried, best - found, found
        if gained <= 1e-9 * max(1.0, best):
            break
    return LogitMap(float(scale), tuple((shift + own).tolist()))


def _newton_step(
    x: Numbers, truth: Truth, scale: float, shift: float, own: Numbers, hold: float
) -> tuple[Numbers, Numbers]:
    """Of scale and shift (2,), and of each label's own shift (labels,)."""
    p = 1 / (1 + np.exp(-(scale * x + shift + own)))
    wrong, weight = p - truth, p * (1 - p)
    weighted = weight * x
    both = np.stack([weighted.sum(0), weight.sum(0)])  # (2, labels)
    common = np.array([[float((weighted * x).sum()), both[0].sum()], [both[0].sum(), both[1].sum()]])
    slope, slope_own = np.array([float((wrong * x).sum()), wrong.sum()]), wrong.sum(0) + hold * own
    bend = both[1] + hold
    two = np.linalg.solve(common - (both / bend) @ both.T + 1e-9 * np.eye(2), slope - (both / bend) @ slope_own)
    return two, (slope_own - both.T @ two) / bend


@torch.no_grad()
def fold(encoder: Encoder, scale: float, shifts: Sequence[float]) -> None:
    """Change an encoder's head so that its clip logits are what the map makes of them; float32, in place."""
    if not isinstance(encoder, NanoEncoder):
        raise ModelError("Only sam-nano's kind of encoder takes a map of its scores into its weights.")
    head, moved = encoder.window_head, torch.tensor(list(shifts))
    if len(moved) != encoder.classes:
        raise ModelError(f"The map is of {len(moved)} labels, the encoder's head of {encoder.classes}.")
    head.weight.mul_(scale)
    head.bias.mul_(scale).add_(moved.to(head.bias))
    encoder.gain.mul_(scale)


def calibrate_encoder(
    encoder: Encoder, folder: Path, corpus: Corpus, sources: Sequence[str], progress: Progress
) -> Calibration:
    """Fold the map of the scores into an encoder's weights; `folder` holds its model as it was before."""
    clips = left_out_clips(corpus, sources)
    if not clips:
        raise UsageError("None of the sources to calibrate on has labelled clips.")
    scores = scores_of(load_model(str(folder), device="cpu"), corpus, clips, progress).clip(LEAST, 1 - LEAST)
    logits, truth = np.log(scores / (1 - scores)), truth_of(clips, corpus, ancestors=True)
    found = fit_map(logits, truth, [clip.source for clip in clips])
    fold(encoder, found.scale, found.shifts)
    chosen = best_thresholds(np.asarray(1 / (1 + np.exp(-found(logits))), np.float32), truth)
    labels = {
        corpus.names[label]: {"threshold": round(chosen.labels[label], 3), "step_threshold": STEP_THRESHOLD}
        for label in np.flatnonzero(truth.sum(0) >= POSITIVES)
    }
    heard = {"recordings": len(clips), "sources": len({clip.source for clip in clips})}
    return Calibration(round(chosen.common, 3), labels, STEP_THRESHOLD, heard)
