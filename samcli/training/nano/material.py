"""The corpus, ready to train on: features computed once, synthetic sounds added, targets and scripts for every clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samcli.audio.mel32 import SAMPLE_RATE
from samcli.audio.waves import resampled
from samcli.training.language.script import Scripts
from samcli.training.nano.corpus import Corpus, Targets
from samcli.training.nano.features import FeatureStore, build_features, log_power
from samcli.training.nano.synthetic import RATE as SYNTHETIC_RATE
from samcli.training.nano.synthetic import synthetic_clips

SoftTargets = dict[str, NDArray[np.float32]]  # file -> probabilities (started 10 s windows, classes)


@dataclass(frozen=True)
class Material:
    """The corpus, ready to train on."""

    corpus: Corpus
    store: FeatureStore
    targets: Targets
    scripts: Scripts

    def with_soft_targets(self, soft: SoftTargets) -> Material:
        targets = Targets(self.corpus, soft)
        return Material(self.corpus, self.store, targets, Scripts(targets))


def prepare(corpus: Corpus, cache: Path, without: Sequence[str] = ()) -> Material:
    """Compute the corpus' features once, add the synthetic sounds, leave out some sources."""
    store = FeatureStore(cache) if (cache / "index.json").exists() else None
    if store is None or any(clip not in store for clip in corpus.clips):
        store = build_features(corpus.folder, corpus.clips, cache)
    made = synthetic_clips()
    corpus = corpus.without(without).plus(clip for clip, _ in made)
    for clip, wave in made:
        store.add(clip, log_power(resampled(wave, SYNTHETIC_RATE, SAMPLE_RATE)))
    targets = Targets(corpus)
    return Material(corpus, store, targets, Scripts(targets))


def without_teacher(corpus: Corpus) -> Corpus:
    """The corpus as it is without the teacher: labels alone, and no clip to learn from that has none."""
    clips = tuple(clip for clip in corpus.clips if clip.split != "train" or clip.label)
    nothing = {file: np.zeros_like(windows) for file, windows in corpus.teacher.items()}
    return replace(corpus, clips=clips, teacher=nothing)
