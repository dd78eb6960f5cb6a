"""Filter-bank features of the whole corpus, computed once and mapped into memory ever after."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samcli.training.nano.corpus import Clip


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


def build_features(corpus: Path, clips: Iterable[Clip], folder: Path) -> FeatureStore:
    """Decode every clip once (about a minute and a half for 12 hours on two cores)."""
    import torch

    from samcli.audio.decode import read_sound
    from samcli.audio.fbank import log_mel

    folder.mkdir(parents=True, exist_ok=True)
    parts: list[NDArray[np.float16]] = []
    rows: list[tuple[str, int, int]] = []
    position = 0
    for clip in clips:
        wave = read_sound(corpus / clip.file)
        if len(wave) < 400:  # less than one frame
            wave = np.pad(wave, (0, 400 - len(wave)))
        mel = log_mel(torch.from_numpy(wave)[None])[0].numpy().astype(np.float16)
        parts.append(mel)
        rows.append((clip.file, position, len(mel)))
        position += len(mel)
    np.save(folder / "mel.part.npy", np.concatenate(parts))
    (folder / "mel.part.npy").replace(folder / "mel.npy")
    (folder / "index.json").write_text(json.dumps(rows), encoding="utf-8")
    return FeatureStore(folder)
