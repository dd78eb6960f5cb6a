"""The corpus, ready to train on: features computed once, synthetic sounds added, targets and scripts for every clip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samcli.audio.front_end import EVEN_32K
from samcli.audio.mel32 import SAMPLE_RATE
from samcli.audio.waves import resampled
from samcli.training.language.script import Scripts
from samcli.training.nano.corpus import Clip, Corpus, Targets
from samcli.training.nano.synthetic import RATE as SYNTHETIC_RATE
from samcli.training.nano.synthetic import synthetic_clips

SoftTargets = dict[str, NDArray[np.float32]]  # file -> probabilities (started 10 s windows, classes)


class FeatureStore:
    """`store[clip]`: (frames, 128) log energies, float16, straight from the mapped file."""

    def __init__(self, folder: Path) -> None:
        rows = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self._spans = {file: (start, length) for file, start, length, *_ in rows}
        self._mel: NDArray[np.float16] = np.load(folder / "mel.npy", mmap_mode="r")
        self._added: dict[str, NDArray[np.float16]] = {}

    def add(self, clip: Clip, mel: NDArray[np.float16]) -> None:
        """A clip that lives in memory alone."""
        self._added[clip.file] = mel

    def __contains__(self, clip: Clip) -> bool:
        return clip.file in self._added or clip.file in self._spans

    def __getitem__(self, clip: Clip) -> NDArray[np.float16]:
        if clip.file in self._added:
            return self._added[clip.file]
        start, length = self._spans[clip.file]
        return self._mel[start : start + length]


def log_power(wave: NDArray[np.float32]) -> NDArray[np.float16]:
    """Log band powers (frames, 128) of a wave as it was recorded: scenes are mixed before they are brought to level."""
    import torch

    return np.asarray(EVEN_32K.log_power(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))[0][0].half().numpy())


def build_features(corpus: Path, clips: Iterable[Clip], folder: Path) -> FeatureStore:
    """Decode every clip once (some three minutes for 15 hours on two cores)."""
    from samcli.audio.decode import read_sound

    folder.mkdir(parents=True, exist_ok=True)
    parts: list[NDArray[np.float16]] = []
    rows: list[tuple[str, int, int]] = []
    position = 0
    for clip in clips:
        mel = log_power(read_sound(corpus / clip.file, EVEN_32K.sample_rate))
        parts.append(mel)
        rows.append((clip.file, position, len(mel)))
        position += len(mel)
    np.save(folder / "mel.part.npy", np.concatenate(parts))
    (folder / "mel.part.npy").replace(folder / "mel.npy")
    (folder / "index.json").write_text(json.dumps(rows), encoding="utf-8")
    return FeatureStore(folder)


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
