"""Batches of a person's recordings: each one placed, coloured and disturbed anew, now and then two of them at once.

Batch number n is a function of the seed and n alone, as in batches.py. Pitch and pace are left as they are: they may be
all that tells two names apart. Some scenes hold none of the sounds, lest everything be called by one of their names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samcli.audio.front_end import EVEN_32K, FrontEnd
from samcli.audio.waves import resampled
from samcli.text.prompts import Example, caption_example, question_example
from samcli.text.tokenizer import Tokenizer
from samcli.training.nano.corpus import Clip
from samcli.training.nano.material import RATE, synthetic_clips
from samcli.training.nano.mixer import BINS, FRAMES_PER_SECOND, FRAMES_PER_STEP, NATS_PER_DB, Mixer, MixOptions
from samcli.training.nano.words import LONGEST, Row, Words, words_of
from samcli.training.tune.recordings import Recording

Mel = NDArray[np.float16]
LEVEL_DB = 6.0  # spread of scenes' levels
UNLABELLED = Recording("")  # a synthetic sound: none of the names is right
SHORTEST_FRAMES = FRAMES_PER_SECOND  # of a scene
GENTLE_MIX = MixOptions(
    narrow=0.05, stretch=0.0, shift=0.0, equaliser=0.4, band_limit=0.1, room=0.15, coding=0.1, masks=0.4
)


@dataclass(frozen=True)
class TuneBatchOptions:
    scenes: int = 16  # of a batch
    window_seconds: float = 10.0  # longest scene
    others: float = 0.15  # chance of a scene that holds none of the sounds
    given_others: float = 0.35  # the same when there are real ones to draw from
    pairs: float = 0.15  # chance of a second recording in the scene
    label_power: float = 0.5  # a label with n recordings is drawn n ** power times as often
    mix: MixOptions = GENTLE_MIX
    seed: int = 0


@dataclass
class TuneBatch:
    mel: Tensor  # (scenes, frames, mel bins); or what the encoder made of them, (scenes, steps, width)
    tags: Tensor  # (scenes, names): what the head is to say of the taught names
    steps: Tensor  # (scenes, steps, names)
    known: Tensor  # (scenes,): whether the names that are not given are absent
    words: Words | None = None
    pooled: Tensor | None = None  # (scenes, width): beside cached features, what the window's head reads


def features_of(wave: NDArray[np.float32], front_end: FrontEnd) -> Mel:
    """Log band powers (frames, bands) of a wave at the front end's rate: scenes are mixed of these."""
    log_power, _ = front_end.log_power(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    return np.asarray(log_power[0].half().numpy())


def stretch_of(recording: Recording, sounds: Mapping[str, Mel]) -> Mel:
    """The frames of a recording; at least one."""
    mel = sounds[recording.path]
    first = min(round(recording.start * FRAMES_PER_SECOND), len(mel) - 1)
    last = len(mel) if recording.end is None else max(first + 1, round(recording.end * FRAMES_PER_SECOND))
    return mel[first:last]


class TuneBatches:
    def __init__(
        self,
        recordings: Sequence[Recording],
        sounds: Mapping[str, Mel],
        names: Sequence[str],
        options: TuneBatchOptions,
        tokenizer: Tokenizer | None = None,
        others: Sequence[Mel] = (),
        front_end: FrontEnd = EVEN_32K,
    ) -> None:
        self.front_end = front_end
        self.recordings, self.sounds, self.options, self.tokenizer = list(recordings), sounds, options, tokenizer
        self.place = {name: number for number, name in enumerate(names)}
        groups: dict[tuple[str, ...], list[Recording]] = defaultdict(list)
        for recording in self.recordings:
            groups[recording.labels].append(recording)
        self.groups = [groups[labels] for labels in sorted(groups)]
        weight = np.array([len(group) ** options.label_power for group in self.groups])
        self.edges = np.cumsum(weight / weight.sum())
        self.others = [
            features_of(resampled(wave, RATE, front_end.sample_rate), front_end) for _, wave in synthetic_clips(each=6)
        ]
        self.given_others = list(others)

    def batch(self, number: int) -> TuneBatch:
        options = self.options
        rng = np.random.default_rng((options.seed, number))
        mixer = Mixer(options.mix, rng)
        # Scenes of a batch are as long as one of its recordings, which is what the model will meet.
        longest = round(options.window_seconds * FRAMES_PER_SECOND)
        frames = int(np.clip(len(stretch_of(self._draw(rng), self.sounds)), SHORTEST_FRAMES, longest))
        frames = min(longest, -(-frames // FRAMES_PER_STEP) * FRAMES_PER_STEP)
        steps = -(-frames // FRAMES_PER_STEP)
        size = options.scenes
        mel = np.zeros((size, frames, BINS), np.float32)
        absent = np.ones((size, len(self.place)), np.float32)
        tracks = np.zeros((size, steps, len(self.place)), np.float32)
        known = np.ones(size, bool)
        rows: list[Row] = []
        for row in range(size):
            chosen = self._scene(rng)
            scene = mixer.scene([(_clip(r), np.asarray(m, np.float32)) for r, m in chosen], frames)
            level = scene.peak_db + rng.normal(0, LEVEL_DB)
            mel[row] = scene.mel + np.float32(level) * NATS_PER_DB
            for (recording, _), activity, weight in zip(chosen, scene.activity, scene.weight, strict=True):
                for place in self._places(recording):
                    absent[row, place] *= 1 - weight
                    np.maximum(tracks[row, :, place], activity * weight, out=tracks[row, :, place])
                known[row] &= bool(recording.labels or recording.wrong) or recording is UNLABELLED
            if len(chosen) == 1:
                rows += [Row(row, example) for example in self._examples(chosen[0][0], rng)]
        return TuneBatch(
            self.front_end.read(torch.from_numpy(mel)),
            torch.from_numpy(1 - absent),
            torch.from_numpy(tracks),
            torch.from_numpy(known),
            self._words(rows),
        )

    def _scene(self, rng: np.random.Generator) -> list[tuple[Recording, Mel]]:
        for chance, others in ((self.options.others, self.others), (self.options.given_others, self.given_others)):
            if others and rng.random() < chance:
                return [(UNLABELLED, others[int(rng.integers(len(others)))])]
        first = self._draw(rng)
        chosen = [first]
        if rng.random() < self.options.pairs and first.labels:
            second = self._draw(rng)
            if second.labels and set(second.labels).isdisjoint(first.labels):
                chosen.append(second)
        return [(recording, stretch_of(recording, self.sounds)) for recording in chosen]

    def _draw(self, rng: np.random.Generator) -> Recording:
        group = self.groups[min(int(np.searchsorted(self.edges, rng.random())), len(self.groups) - 1)]
        return group[int(rng.integers(len(group)))]

    def _places(self, recording: Recording) -> list[int]:
        return [self.place[label] for label in recording.labels if label in self.place]

    def _examples(self, recording: Recording, rng: np.random.Generator) -> list[Example]:
        if self.tokenizer is None:
            return []
        found = []
        if recording.captions:
            caption = recording.captions[int(rng.integers(len(recording.captions)))]
            found.append(caption_example(self.tokenizer, caption))
        if recording.questions:
            pair = recording.questions[int(rng.integers(len(recording.questions)))]
            found.append(question_example(self.tokenizer, *pair))
        return [example for example in found if len(example.tokens) <= LONGEST]

    def _words(self, rows: list[Row]) -> Words | None:
        return None if self.tokenizer is None else words_of(rows, self.tokenizer)


class CachedFeatures:
    """The first batches, as a frozen encoder heard them, over and over."""

    def __init__(self, batches: Sequence[TuneBatch]) -> None:
        self.batches = list(batches)

    def batch(self, number: int) -> TuneBatch:
        return self.batches[number % len(self.batches)]


def _clip(recording: Recording) -> Clip:
    """As the mixer wants it; it only hands it back."""
    return Clip(recording.path, "train", "", "", "class", (), "", 0.0)
