"""The training corpus: clips, what is known of each, and how far to trust it.

A clip's target joins the teacher's opinion with its label. Labels of a curated class count nearly as truth; labels
guessed from a file name count as far as the teacher finds something of their family in the sound, but never nothing:
dry studio effects are often not what the teacher learned, and there the file name knows better.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASSES = 527
TEACHER_WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class Clip:
    file: str
    split: str  # "train" or "dev"
    source: str
    label: str
    trust: str  # "class", "guess" or "none"
    audioset: tuple[str, ...]
    title: str
    seconds: float

    @property
    def curated(self) -> bool:
        """From recordists, in everyday classes: what people will point this program at."""
        return self.source == "freesound-clips"


@dataclass(frozen=True)
class Corpus:
    folder: Path
    clips: tuple[Clip, ...]
    names: tuple[str, ...]  # the tag vocabulary, in the head's order
    teacher: dict[str, NDArray[np.float32]]  # file -> (started 10 s windows, classes) probabilities

    @classmethod
    def read(cls, folder: Path, names: tuple[str, ...]) -> Corpus:
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            clips = tuple(
                Clip(
                    file=row["file"],
                    split=row["split"],
                    source=row["source"],
                    label=row["label"],
                    trust=row["trust"],
                    audioset=tuple(name for name in row["audioset"].split(";") if name),
                    title=row["title"],
                    seconds=float(row["seconds"]),
                )
                for row in csv.DictReader(file)
            )
        with np.load(folder / "teacher_labels.npz") as stored:
            probabilities = (stored["sqrt_prob_255"].astype(np.float32) / 255) ** 2
            files, rows = stored["files"], stored["file_index"]
            order = np.argsort(rows, kind="stable")
            starts = np.searchsorted(rows[order], np.arange(len(files) + 1))
            teacher = {str(file): probabilities[order[starts[i] : starts[i + 1]]] for i, file in enumerate(files)}
        return cls(folder, clips, names, teacher)

    def plus(self, clips: Iterable[Clip]) -> Corpus:
        """With further clips, of which the teacher has no opinion."""
        added = tuple(clips)
        silent = np.zeros((1, CLASSES), np.float32)
        return replace(self, clips=self.clips + added, teacher=self.teacher | {clip.file: silent for clip in added})

    def without(self, sources: Iterable[str]) -> Corpus:
        """The same, but nothing of these sources is learned from."""
        left_out = set(sources)
        kept = tuple(clip for clip in self.clips if clip.split != "train" or clip.source not in left_out)
        return replace(self, clips=kept)

    def split(self, name: str) -> list[Clip]:
        return [clip for clip in self.clips if clip.split == name]


class Targets:
    """What the head should say for a clip."""

    def __init__(self, corpus: Corpus, soft: dict[str, NDArray[np.float32]] | None = None) -> None:
        """`soft`: of each clip's started 10 s windows, better ones than the teacher's."""
        self.corpus = corpus
        self.soft = corpus.teacher if soft is None else corpus.teacher | soft
        self.index = {name: i for i, name in enumerate(corpus.names)}
        self._relatives = _families(corpus.folder / "ontology.json", self.index)
        with (corpus.folder / "freesound_classes.csv").open(encoding="utf-8", newline="") as file:
            self.class_names = {row["class"]: tuple(row["audioset_names"].split(";")) for row in csv.DictReader(file)}

    def hard(self, clip: Clip) -> list[int]:
        """Class numbers that hold if the label is right."""
        names = clip.audioset
        if clip.curated and not names:
            # AudioSet has no such class; the nearest names stand for it, the first one being the nearest.
            names = self.class_names[clip.label][:1]
        return [self.index[name] for name in names]

    def confidence(self, clip: Clip) -> float:
        if clip.curated:
            return 0.97
        family = {relative for i in self.hard(clip) for relative in self._relatives[i]}
        if not family:
            return 0.0
        support = float(np.log10(max(self.soft[clip.file].max(0)[list(family)].max(), 1e-6)))
        if clip.trust == "class":
            return float(np.interp(support, [-3.0, -1.5], [0.6, 0.97]))
        # From 0.1 when next to nothing related is heard (one per mille), to 0.95 at 30 per cent.
        return float(np.interp(support, [-3.0, -2.0, -0.5], [0.1, 0.4, 0.95]))

    def __call__(self, clip: Clip, start: float = 0.0, end: float = 1e9) -> NDArray[np.float32]:
        """Probabilities for the part of the clip between two times."""
        windows = self.soft[clip.file]
        first = min(int(start / TEACHER_WINDOW_SECONDS), len(windows) - 1)
        last = min(int(np.ceil(min(end, clip.seconds) / TEACHER_WINDOW_SECONDS)), len(windows))
        target: NDArray[np.float32] = windows[first : max(last, first + 1)].max(0).copy()
        hard = self.hard(clip)
        if hard:
            rest = np.where(np.arange(len(hard)) > 0, 0.9, 1.0)  # the first name is the most specific
            target[hard] = np.maximum(target[hard], self.confidence(clip) * rest)
        return target


def _families(ontology: Path, index: dict[str, int]) -> dict[int, set[int]]:
    """Each class with its parents, children and siblings under one parent, as class numbers."""
    nodes = {node["id"]: node for node in json.loads(ontology.read_text(encoding="utf-8"))}
    number = {id_: index[node["name"]] for id_, node in nodes.items() if node["name"] in index}
    family: dict[int, set[int]] = {i: {i} for i in index.values()}
    for id_, node in nodes.items():
        children = {number[child] for child in node["child_ids"] if child in number}
        if id_ in number:
            family[number[id_]] |= children
            for child in children:
                family[child].add(number[id_])
        if len(children) <= 12:  # a handful of siblings are variants of one thing; a long list is a heading
            for child in children:
                family[child] |= children
    return family
