"""Many sounds through a model in one pass: tags, steps, an embedding, captions, answers, likelihoods of given texts.

A run serves one task at a time; a suite or an index wants all of them of every sound, and shares the encoder's work.
Windows are cut, padded and gated as in a run, so that what is found here is what a user gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from samcli.audio.windows import SILENCE_DB, loudest_db
from samcli.engine.batches import device_of, padded_samples
from samcli.engine.cores import Cores
from samcli.engine.rows import Row, gather_encodings, gather_states, rows_of
from samcli.engine.windows import Cut, window_lengths
from samcli.models.interface import SoundModel, SpeakOptions

Wave = NDArray[np.float32]
Scores = NDArray[np.float32]
Progress = Callable[[str, int, int], None]  # what is being done, done so far, in all

BLOCK_SOUNDS = 64  # heard together: enough to fill batches, few enough for their states to fit
BLOCK_SECONDS = 600.0
BATCH_SECONDS = 60.0


@dataclass
class Heard:
    """What a model made of one sound."""

    silent: bool = True  # no window passed the level gate; then nothing else is filled in
    tags: Scores | None = None  # (classes,): the highest of the windows' probabilities
    steps: list[tuple[float, float, Scores | None]] = field(default_factory=list)  # start, end, (steps, classes)
    texts: list[str] = field(default_factory=list)  # one for each prompt; "" for silence
    embedding: Scores | None = None  # (width,): the mean of the encoder's features
    losses: Scores | None = None  # (given texts,): their mean cross-entropy as captions


@dataclass(eq=False)
class _Sound:
    """One sound under way."""

    heard: Heard
    windows: list[tuple[int, Wave]]  # first sample, samples
    prompts: Sequence[str]
    rows: dict[int, Row] = field(default_factory=dict)  # encodings by window
    state: Row | None = None
    tokens: int = 0  # of all windows so far
    total: Scores | None = None  # (width,): the sum of their features

    def add(self, tokens: int, total: Scores) -> Scores:
        """The mean of the features with those of one more window."""
        self.tokens += tokens
        self.total = total if self.total is None else self.total + total
        return np.asarray(self.total / max(1, self.tokens), np.float32)


def hear(
    model: SoundModel,
    waves: Sequence[Wave],
    prompts: Sequence[Sequence[str]] | None = None,
    *,
    steps: bool = False,
    given: Sequence[str] = (),
    options: SpeakOptions | None = None,
    refine: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Heard]:
    """Each sound's tags, with `steps` also per time step, and an answer to each of its prompts ("" is a caption).

    With `refine` captions are chosen among several. The texts `given` are scored against every sound. `progress` is
    told how many sounds are done.
    """
    results = [Heard() for _ in waves]
    ear = _Ear(model, steps, given, options or SpeakOptions(), refine)
    done = 0
    for block in _blocks(waves, model.sample_rate):
        sounds = [
            _Sound(results[index], _cut(waves[index], model), prompts[index] if prompts else ()) for index in block
        ]
        ear.hear(sounds)
        done += len(block)
        if progress is not None:
            progress(done)
    return results


class _Ear:
    def __init__(
        self, model: SoundModel, steps: bool, given: Sequence[str], options: SpeakOptions, refine: bool
    ) -> None:
        self.model, self.steps, self.given, self.options, self.refine = model, steps, given, options, refine
        self.device = device_of(model)
        self.cores = Cores(self.device)

    @torch.inference_mode()
    def hear(self, sounds: list[_Sound]) -> None:
        self._encode(sounds)
        speakers = [sound for sound in sounds if sound.prompts or self.given]
        for order in range(max((len(sound.windows) for sound in speakers), default=0)):
            now = [sound for sound in speakers if order in sound.rows]
            # A fresh state and a carried one cannot share a call.
            for group in ([s for s in now if s.state is None], [s for s in now if s.state is not None]):
                if group:
                    self._listen(group, order)
        self._speak(speakers)
        if self.given:
            self._score([sound for sound in speakers if sound.state is not None])

    def _encode(self, sounds: list[_Sound]) -> None:
        rate = self.model.sample_rate
        waiting: dict[int, list[tuple[_Sound, int]]] = {}
        for sound in sounds:
            for order, (_, wave) in enumerate(sound.windows):
                if loudest_db(wave, rate) >= SILENCE_DB:
                    sound.heard.silent = False
                    waiting.setdefault(padded_samples(len(wave), rate), []).append((sound, order))
        scores: dict[tuple[int, int], Scores] = {}
        for length, entries in sorted(waiting.items()):
            size = max(1, int(BATCH_SECONDS * rate / length))
            for at in range(0, len(entries), size):
                scores.update(self._encode_batch(length, entries[at : at + size]))
        if not self.steps:
            return
        for sound in sounds:
            for order, (start, wave) in enumerate(sound.windows):
                stretch = start / rate, (start + len(wave)) / rate
                sound.heard.steps.append((*stretch, scores.get((id(sound), order))))

    def _encode_batch(self, length: int, entries: list[tuple[_Sound, int]]) -> dict[tuple[int, int], Scores]:
        """Tags of the windows into their sounds; returns the scores per step when they are wanted."""
        waves = [sound.windows[order][1] for sound, order in entries]
        encoding = self.cores.encode(self.model, waves, length)
        clips = None if encoding.clip_logits is None else encoding.clip_logits.float().sigmoid().cpu().numpy()
        kept = rows_of(encoding, len(entries))
        for row, (sound, order) in enumerate(entries):
            if clips is not None:
                best = sound.heard.tags
                sound.heard.tags = clips[row] if best is None else np.maximum(best, clips[row])
            valid = int(encoding.lengths[row])
            total = encoding.features[row, :valid].float().sum(0).cpu().numpy()
            sound.heard.embedding = sound.add(valid, total)
            if sound.prompts or self.given:
                sound.rows[order] = kept[row]
        if not self.steps or encoding.step_logits is None:
            return {}
        scores = encoding.step_logits.float().sigmoid().cpu().numpy()
        tokens = encoding.lengths.tolist()
        return {(id(sound), order): scores[row, : tokens[row]] for row, (sound, order) in enumerate(entries)}

    def _listen(self, sounds: list[_Sound], order: int) -> None:
        encoding = gather_encodings([sound.rows.pop(order) for sound in sounds])
        carried = [sound.state for sound in sounds if sound.state is not None]
        state = self.cores.listen(self.model, encoding, gather_states(carried, self.model) if carried else None)
        for sound, row in zip(sounds, rows_of(state, len(sounds)), strict=True):
            sound.state = row

    def _speak(self, sounds: list[_Sound]) -> None:
        for sound in sounds:
            sound.heard.texts = [""] * len(sound.prompts)
        # The first prompt of every sound, then the second: alike in kind, they finish together.
        for place in range(max((len(sound.prompts) for sound in sounds), default=0)):
            now = [(sound, sound.state) for sound in sounds if sound.state is not None and place < len(sound.prompts)]
            if not now:
                continue
            state: Any = gather_states([state for _, state in now], self.model)
            texts = self._texts(state, [sound.prompts[place] for sound, _ in now])
            for (sound, _), text in zip(now, texts, strict=True):
                sound.heard.texts[place] = text

    def _texts(self, state: Any, prompts: list[str]) -> list[str]:
        if self.refine and not any(prompts):
            from samcli.models.refine import refined

            return refined(self.model, state, len(prompts), self.options)
        return self.cores.speak(self.model, state, prompts, self.options)

    def _score(self, sounds: list[_Sound]) -> None:
        from samcli.models.likelihood import losses

        if sounds:
            state = gather_states([sound.state for sound in sounds if sound.state is not None], self.model)
            for sound, row in zip(sounds, losses(self.model, state, len(sounds), self.given), strict=True):
                sound.heard.losses = row.numpy()


def _cut(wave: Wave, model: SoundModel) -> list[tuple[int, Wave]]:
    """Windows as the engine cuts them, each with its first sample."""
    how = Cut(model.sample_rate, model.window_seconds, step_seconds=model.step_seconds)
    windows, at = [], 0
    for length in window_lengths(len(wave), how.window, how.grain):
        windows.append((at, wave[at : at + length]))
        at += length
    return windows


def _blocks(waves: Sequence[Wave], rate: int) -> list[list[int]]:
    """Sounds of like length together, the longest first: if memory is short, it shows at once."""
    order = sorted(range(len(waves)), key=lambda index: (-len(waves[index]), index))
    blocks: list[list[int]] = []
    seconds = 0.0
    for index in order:
        length = len(waves[index]) / rate
        if not blocks or len(blocks[-1]) == BLOCK_SOUNDS or seconds + length > BLOCK_SECONDS:
            blocks.append([])
            seconds = 0.0
        blocks[-1].append(index)
        seconds += length
    return blocks
