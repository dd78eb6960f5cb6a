"""The corpus, ready to train on: frames computed once, synthetic sounds added, targets and scripts for every clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samcli.audio.front_end import EVEN_32K
from samcli.engine.inputs.find import Input
from samcli.errors import InputError
from samcli.training.frames import FrameStore, make_frames
from samcli.training.language.script import Scripts
from samcli.training.nano.corpus import Clip, Corpus, Targets
from samcli.training.nano.synthetic import RATE, synthetic_clips

SoftTargets = dict[str, NDArray[np.float32]]  # file -> probabilities (started 10 s windows, classes)


@dataclass(frozen=True)
class Material:
    """The corpus, ready to train on."""

    corpus: Corpus
    store: FrameStore
    targets: Targets
    scripts: Scripts

    def with_soft_targets(self, soft: SoftTargets) -> Material:
        targets = Targets(self.corpus, soft)
        return Material(self.corpus, self.store, targets, Scripts(targets))


def prepare(corpus: Corpus, cache: Path, without: Sequence[str] = (), teacher: bool = True) -> Material:
    """Compute all frames once, add the synthetic sounds, leave out some sources, or what the teacher says."""
    made = synthetic_clips()
    store = frames_of(corpus, made, cache)
    learned = corpus if teacher else without_teacher(corpus)
    learned = learned.without(without).plus(clip for clip, _ in made)
    targets = Targets(learned)
    return Material(learned, store, targets, Scripts(targets))


def frames_of(corpus: Corpus, made: Sequence[tuple[Clip, NDArray[np.float32]]], cache: Path) -> FrameStore:
    """Of every clip by its file, recorded or made (some three minutes for 15 hours on two cores)."""
    recorded = [Input(str(corpus.folder / clip.file), clip.file, None, clip.file) for clip in corpus.clips]
    synthetic = [Input(clip.file, clip.file, None, clip.file, source=(wave, RATE)) for clip, wave in made]
    store = make_frames([*recorded, *synthetic], cache, front_end=EVEN_32K)
    for cause in store.skipped.values():
        raise InputError(cause)
    return store


def without_teacher(corpus: Corpus) -> Corpus:
    """The corpus as it is without the teacher: labels alone, and no clip to learn from that has none."""
    clips = tuple(clip for clip in corpus.clips if clip.split != "train" or clip.label)
    nothing = {file: np.zeros_like(windows) for file, windows in corpus.teacher.items()}
    return replace(corpus, clips=clips, teacher=nothing)
