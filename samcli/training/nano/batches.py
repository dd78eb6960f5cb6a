"""Endless training batches: clips drawn by label, mixed into scenes, with targets.

Batch number n is a function of the seed and n alone, so a resumed run sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from samcli.training.nano.corpus import Clip, Corpus, Targets
from samcli.training.nano.features import FeatureStore
from samcli.training.nano.mixer import BINS, FRAMES_PER_SECOND, FRAMES_PER_STEP, Mixer, MixOptions, Mixture
from samcli.training.order import numbers

if TYPE_CHECKING:
    from samcli.training.nano.words import Words, Writer


@dataclass(frozen=True)
class BatchOptions:
    # Scene lengths; all scenes of a batch share one, and how many windows they are heard in: the language model learns
    # to carry its state over several. A window is a whole number of encoder steps.
    seconds: tuple[float, ...] = (5.0, 10.0, 2.56, 10.08, 7.68)
    windows: tuple[int, ...] = (1, 1, 1, 2, 3)
    share: tuple[float, ...] = (0.4, 0.24, 0.12, 0.12, 0.12)  # how often each is drawn
    scenes_at_5_seconds: int = 32  # batch size; scaled so that every batch has about the same number of frames
    label_power: float = 0.5  # a label with n clips is drawn n ** power times as often
    curated_share: float = 0.35  # of the draws that come from the curated everyday classes
    mix: MixOptions = field(default_factory=MixOptions)
    seed: int = 1


@dataclass
class Batch:
    mel: Tensor  # (scenes * windows, frames, 128), a scene's windows side by side
    clip_target: Tensor  # (scenes * windows, classes)
    step_target: Tensor  # (scenes * windows, steps, classes) float16
    windows: int = 1  # of each scene
    words: Words | None = None  # None: tags only


class Sampler:
    """Draws clips by label."""

    def __init__(self, clips: list[Clip], options: BatchOptions) -> None:
        groups: dict[tuple[bool, str], list[int]] = defaultdict(list)
        for i, clip in enumerate(clips):
            # Unlabelled clips (speech, music, effects) form one group by source, lest they all share one.
            groups[clip.curated, clip.label or f"unlabelled {clip.source}"].append(i)
        self.clips = clips
        self.members = list(groups.values())
        weight = np.array([len(m) ** options.label_power for m in self.members])
        curated = np.array([key[0] for key in groups])
        weight[curated] *= options.curated_share / weight[curated].sum()
        weight[~curated] *= (1 - options.curated_share) / weight[~curated].sum()
        self.edges = np.cumsum(weight)

    def draw(self, rng: np.random.Generator) -> Clip:
        group = min(int(np.searchsorted(self.edges, rng.random())), len(self.members) - 1)
        members = self.members[group]
        return self.clips[members[int(rng.integers(len(members)))]]


class SceneBatches(IterableDataset[Batch]):
    def __init__(
        self, corpus: Corpus, store: FeatureStore, options: BatchOptions, writer: Writer | None = None, start: int = 0
    ) -> None:
        self.corpus, self.store, self.options, self.writer, self.start = corpus, store, options, writer, start
        self.targets = Targets(corpus)
        self.sampler = Sampler([clip for clip in corpus.split("train") if clip in store], options)

    def __iter__(self) -> Iterator[Batch]:
        return map(self.batch, numbers(self.start))

    def batch(self, number: int) -> Batch:
        options = self.options
        rng = np.random.default_rng((options.seed, number))
        kind = int(rng.choice(len(options.seconds), p=options.share))
        seconds, windows = options.seconds[kind], options.windows[kind]
        frames = round(seconds * FRAMES_PER_SECOND)
        mixer = Mixer(options.mix, rng)
        scenes = [
            self.scene(mixer, frames, rng) for _ in range(max(1, round(options.scenes_at_5_seconds * 5 / seconds)))
        ]
        classes = len(self.corpus.names)
        steps = -(-frames // FRAMES_PER_STEP)
        absent = np.ones((len(scenes), windows, classes), np.float32)
        step_target = np.zeros((len(scenes), steps, classes), np.float32)
        for row, scene in enumerate(scenes):
            for sound, activity, weight in zip(scene.placed, scene.activity, scene.weight, strict=True):
                target = self.targets(sound.clip, *sound.crop) * weight
                heard = np.ones(1) if windows == 1 else activity.reshape(windows, -1).max(1) > 0.3
                absent[row] *= 1 - heard[:, None] * target[None, :]
                np.maximum(step_target[row], activity[:, None] * target[None, :], out=step_target[row])
        clip_target = 1 - absent
        mel = np.stack([scene.mel for scene in scenes]).reshape(len(scenes) * windows, -1, BINS)
        words = None
        if self.writer is not None:
            words = self.writer.write(scenes, clip_target.max(1), seconds, Random(f"{options.seed} {number}"))
        return Batch(
            torch.from_numpy(mel),
            torch.from_numpy(clip_target.reshape(len(mel), classes)),
            torch.from_numpy(step_target.astype(np.float16)).reshape(len(mel), -1, classes),
            windows,
            words,
        )

    def scene(self, mixer: Mixer, frames: int, rng: np.random.Generator) -> Mixture:
        sounds = int(rng.choice(len(self.options.mix.sources), p=self.options.mix.sources))
        clips: list[Clip] = []
        while len(clips) < sounds:
            clip = self.sampler.draw(rng)
            if clip.label == "silence":  # nothing can be heard beside it
                clips = [clip]
                break
            if all(clip.label != other.label for other in clips):
                clips.append(clip)
        return mixer.scene([(clip, np.asarray(self.store[clip], np.float32)) for clip in clips], frames)
