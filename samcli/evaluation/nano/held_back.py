"""The last step of sam-nano's recipe: scores that say how often they are right, by sources held back from training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from samcli.checkpoints.calibration import Calibration
from samcli.checkpoints.loading import load_model
from samcli.engine.hearing import Progress
from samcli.errors import UsageError
from samcli.evaluation.calibration import best_thresholds
from samcli.evaluation.nano.left_out import left_out_clips, scores_of, truth_of
from samcli.evaluation.nano.score_map import fit_map, fold
from samcli.evaluation.nano.tags import POSITIVES
from samcli.models.encoders.base import Encoder
from samcli.training.nano.corpus import Corpus

LEAST = 1e-6  # of a score, before its logit is taken
STEP_THRESHOLD = 0.35  # of a timeline's steps, which labels of whole clips do not teach


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
