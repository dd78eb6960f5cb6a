"""Endless training batches: clips drawn by label, mixed into scenes, with targets.

Batch number n is a function of the seed and n alone, so a resumed run sees what an uninterrupted one would have seen.

A second view of a scene is as other hands would have stored it: in a room's noise, by telephone, coded, or begun a
little later. What is said of a sound should not depend on that: both views learn the same targets, and the second also
what the network says of the first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samcli.audio.mel32 import CENTRE, FLOOR, LEVEL_DB, MOST_GAIN_DB, SCALE
from samcli.training.frames import FrameStore
from samcli.training.nano.corpus import Clip, Corpus, Targets
from samcli.training.nano.mixer import (
    BINS,
    FRAMES_PER_SECOND,
    FRAMES_PER_STEP,
    NATS_PER_DB,
    QUIET,
    SILENCE,
    FloatArray,
    Mixer,
    MixOptions,
    Mixture,
    colour_of_noise,
    grain_of_noise,
)
from samcli.training.nano.naming_loss import NamingLoss

if TYPE_CHECKING:
    from samcli.training.nano.words import Words, Writer


MOST_STEPS_LATER = 5  # 0.4 s
SOUNDING = 0.01  # of the loudest frame's power: where a sound is there
NOISE_BELOW_DB = (3.0, 24.0)
CODED_DB = (30.0, 50.0)  # below the loudest band of a frame, where a coder keeps nothing
TELEPHONE_LOW, TELEPHONE_HIGH = (6, 18), (68, 100)  # bands; a telephone's own are 15 and 73
LOST = np.float32(1e-7)  # of the power beyond a telephone's bands

PLAIN = 0.5  # how far a lone sound must stand out to be named
FAR_DB = 60.0  # below full scale, at which a scene's loudest sound may have been recorded


class View(NamedTuple):
    mel: FloatArray  # (frames, bins) of log power
    later: int  # encoder steps that are cut off its beginning


def second_view(mel: FloatArray, rng: np.random.Generator) -> View:
    """At least one change; what was cut off at the beginning is missing at the end."""
    noisy, telephone, coded, late = rng.random(4) < (0.45, 0.35, 0.15, 0.25)
    noisy |= not (telephone or coded or late)
    later = int(rng.integers(1, MOST_STEPS_LATER + 1)) if late else 0
    power = np.exp(mel)
    if later:
        cut = later * FRAMES_PER_STEP
        quiet = np.broadcast_to(np.quantile(power, 0.1, axis=0).astype(np.float32), (cut, BINS))
        power = np.concatenate([power[cut:], quiet])[: len(mel)]
    if noisy:
        power = power + noise_below(power, float(rng.uniform(*NOISE_BELOW_DB)), rng)
    if telephone:
        power = power.copy()
        power[:, int(rng.integers(*TELEPHONE_HIGH)) :] *= LOST
        power[:, : int(rng.integers(*TELEPHONE_LOW))] *= LOST
    changed = np.log(power + SILENCE)
    if coded:
        kept = np.float32(rng.uniform(*CODED_DB)) * NATS_PER_DB
        changed = np.maximum(changed, changed.max(1, keepdims=True) - kept)
    return View(np.asarray(changed, np.float32), later)


def noise_below(power: FloatArray, below_db: float, rng: np.random.Generator) -> FloatArray:
    """Noise that lies so far below a sound while it sounds."""
    loud = power.mean(1)
    sounding = loud[loud >= loud.max() * SOUNDING]
    noise = grain_of_noise(len(power), rng) * colour_of_noise(rng)
    level = sounding.mean() / max(1e-20, float(noise.mean())) * 10 ** (-below_db / 10)
    return np.asarray(noise * np.float32(level), np.float32)


@dataclass(frozen=True)
class BatchOptions:
    # Scene lengths; all scenes of a batch share one, and how many windows they are heard in: the language model learns
    # to carry its state over several. A window is a whole number of encoder steps.
    seconds: tuple[float, ...] = (3.2, 5.12, 1.92, 10.0, 10.24, 7.68)
    windows: tuple[int, ...] = (1, 1, 1, 1, 2, 3)
    share: tuple[float, ...] = (0.4, 0.2, 0.15, 0.15, 0.05, 0.05)  # how often each is drawn
    scenes_at_5_seconds: int = 32  # batch size; scaled so that every batch has about the same number of frames
    label_power: float = 0.5  # a label with n clips is drawn n ** power times as often
    source_power: float = 0.5  # the same for a source among those of a label, lest one microphone be learned
    curated_share: float = 0.35  # of the draws that come from the curated everyday classes
    level_db: float = 4.0  # spread of the windows' levels around the front end's
    quiet: float = 0.25  # chance that a window is turned down by up to 25 dB
    two_views: bool = False  # every scene twice: as mixed, and as other hands would have stored it
    mix: MixOptions = field(default_factory=MixOptions)
    seed: int = 1


@dataclass
class Batch:
    mel: Tensor  # (scenes * windows, frames, 128), a scene's windows side by side
    clip_target: Tensor  # (scenes * windows, classes)
    step_target: Tensor  # (scenes * windows, steps, classes) float16
    name: Tensor  # (scenes * windows,): which name of the naming loss holds of a lone, plain sound; -1: none
    surely: Tensor  # (scenes * windows,): how far that name is trusted
    windows: int = 1  # of each scene
    words: Words | None = None  # None: tags only
    two_views: bool = False  # the second half of the rows is the first once more, as other hands would have stored it


class Sampler:
    """Draws clips by label, and among a label's clips by source."""

    def __init__(self, clips: list[Clip], options: BatchOptions) -> None:
        groups: dict[tuple[bool, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for i, clip in enumerate(clips):
            # Unlabelled clips (speech, music, effects) form one group by source, lest they all share one.
            groups[clip.curated, clip.label or f"unlabelled {clip.source}"][clip.source].append(i)
        self.clips = clips
        self.members = [list(sources.values()) for sources in groups.values()]
        self.source_edges = [
            _edges([len(clips) ** options.source_power for clips in sources]) for sources in self.members
        ]
        weight = np.array([sum(map(len, sources)) ** options.label_power for sources in self.members])
        curated = np.array([key[0] for key in groups])
        for kind, share in ((curated, options.curated_share), (~curated, 1 - options.curated_share)):
            if kind.any():
                weight[kind] *= share / weight[kind].sum()
        self.edges = _edges(weight)

    def draw(self, rng: np.random.Generator) -> Clip:
        return self.clips[self.draw_number(rng)]

    def draw_number(self, rng: np.random.Generator) -> int:
        """Its place among the clips."""
        group = _pick(self.edges, rng)
        members = self.members[group][_pick(self.source_edges[group], rng)]
        return members[int(rng.integers(len(members)))]


def normalised(power: FloatArray) -> FloatArray:
    """Band powers as the network reads them."""
    return np.asarray((np.log(power + np.float32(FLOOR)) - np.float32(CENTRE)) / np.float32(SCALE), np.float32)


def _edges(weights: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cumsum(np.asarray(weights) / np.sum(weights))


def _pick(edges: NDArray[np.float64], rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(edges, rng.random())), len(edges) - 1)


def _begun_later(steps: FloatArray, later: int) -> FloatArray:
    """Targets of steps where so many are cut off at the beginning."""
    return np.concatenate([steps[later:], np.zeros_like(steps[:later])])


class SceneBatches:
    def __init__(
        self,
        corpus: Corpus,
        store: FrameStore,
        options: BatchOptions,
        writer: Writer | None = None,
        targets: Targets | None = None,
    ) -> None:
        self.corpus, self.store, self.options, self.writer = corpus, store, options, writer
        self.targets = targets or Targets(corpus)
        self.naming = NamingLoss.of(self.targets)
        self.sampler = Sampler([clip for clip in corpus.split("train") if clip.file in store], options)

    def batch(self, number: int) -> Batch:
        options = self.options
        rng = np.random.default_rng((options.seed, number))
        kind = int(rng.choice(len(options.seconds), p=options.share))
        seconds, windows = options.seconds[kind], options.windows[kind]
        frames = round(seconds * FRAMES_PER_SECOND)
        mixer = Mixer(options.mix, rng)
        count = options.scenes_at_5_seconds * 5 / seconds / (2 if options.two_views else 1)
        scenes = [self.scene(mixer, frames, rng) for _ in range(max(1, round(count)))]
        classes = len(self.corpus.names)
        steps = -(-frames // FRAMES_PER_STEP)
        absent = np.ones((len(scenes), windows, classes), np.float32)
        step_target = np.zeros((len(scenes), steps, classes), np.float32)
        name, surely = np.full(len(scenes), -1), np.zeros(len(scenes), np.float32)
        for row, scene in enumerate(scenes):
            for sound, activity, weight in zip(scene.placed, scene.activity, scene.weight, strict=True):
                target = self.targets(sound.clip, *sound.crop) * weight
                heard = np.ones(1) if windows == 1 else activity.reshape(windows, -1).max(1) > 0.3
                absent[row] *= 1 - heard[:, None] * target[None, :]
                np.maximum(step_target[row], activity[:, None] * target[None, :], out=step_target[row])
            if len(scene.placed) == 1 and scene.weight[0] > PLAIN:
                name[row], surely[row] = self.naming.entry(scene.placed[0].clip)
        if windows > 1:  # a lone sound may be missing from a window
            name, surely = np.full(len(scenes) * windows, -1), np.zeros(len(scenes) * windows, np.float32)
        words = None
        if self.writer is not None:
            words = self.writer.write(scenes, 1 - absent.min(1), seconds, Random(f"{options.seed} {number}"))
        mel, clip_target = np.stack([scene.mel for scene in scenes]), 1 - absent
        silent = np.array([[sound.clip.label for sound in scene.placed] == [QUIET] for scene in scenes])
        if options.two_views:
            views = [second_view(scene.mel, rng) for scene in scenes]
            mel = np.concatenate([mel, np.stack([view.mel for view in views])])
            begun = [_begun_later(row, view.later) for row, view in zip(step_target, views, strict=True)]
            step_target = np.concatenate([step_target, np.stack(begun)])
            clip_target, silent, name, surely = (np.concatenate([x, x]) for x in (clip_target, silent, name, surely))
        mel = mel.reshape(len(mel) * windows, -1, BINS)
        mel = self._levelled(mel, np.where(np.repeat(silent, windows), MOST_GAIN_DB, MOST_GAIN_DB + FAR_DB), rng)
        return Batch(
            torch.from_numpy(mel),
            torch.from_numpy(clip_target.reshape(len(mel), classes)),
            torch.from_numpy(step_target.astype(np.float16)).reshape(len(mel), -1, classes),
            torch.from_numpy(name),
            torch.from_numpy(surely),
            windows,
            words,
            options.two_views,
        )

    def _levelled(self, mel: FloatArray, most_gain_db: NDArray[np.float64], rng: np.random.Generator) -> FloatArray:
        """Log power (windows, frames, bins) as the front end would give it, give or take some decibels."""
        options, count = self.options, len(mel)
        quiet = np.where(rng.random(count) < options.quiet, rng.uniform(0, 25, count), 0)
        wanted = LEVEL_DB + rng.normal(0, options.level_db, count) - quiet
        power = np.exp(mel)
        level = 10 * np.log10(power.mean(2).max(1) + float(SILENCE))
        gain = 10 ** (np.minimum(wanted - level, most_gain_db) / 10)
        return np.asarray(normalised(power * gain[:, None, None].astype(np.float32)), np.float32)

    def scene(self, mixer: Mixer, frames: int, rng: np.random.Generator) -> Mixture:
        sounds = int(rng.choice(len(self.options.mix.sources), p=self.options.mix.sources))
        clips: list[Clip] = []
        while len(clips) < sounds:
            clip = self.sampler.draw(rng)
            if clip.label == QUIET:  # nothing can be heard beside it
                clips = [clip]
                break
            if all(clip.label != other.label for other in clips):
                clips.append(clip)
        return mixer.scene([(clip, np.asarray(self.store[clip.file], np.float32)) for clip in clips], frames)
