"""The development split as the suite hears it: clips with their waves, kinds and names, and scenes mixed from them.

Everything drawn here is drawn from fixed seeds over the sorted clips, so every model is asked about the same sounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.audio import read_sound
from samcli.engine.hearing import Progress
from samcli.evaluation.figures import Figure
from samcli.evaluation.metrics.wording import names_of, names_of_kind, shares_words
from samcli.models.interface import SoundModel
from samcli.training.language.sounds import Kind, kind_of, related
from samcli.training.nano.corpus import Clip, Corpus

Wave = NDArray[np.float32]

RATE = 32_000  # of every wave in the suite; models that hear another get them resampled
HEARD_BY_TEACHER = 0.1  # probability from which the teacher may vouch for a sound
FRAME = RATE // 50  # 20 ms, for levels
FADE = RATE // 50
FLOOR_DB = -60.0  # a quiet room behind mixed scenes, so that gaps are not digital silence


@dataclass(frozen=True, eq=False)
class DevClip:
    """One clip of the split, decoded."""

    clip: Clip
    wave: Wave
    kind: Kind | None
    teacher: NDArray[np.float32]  # (classes,): the highest of its windows

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Entries of the label tables of which a text must use a word to have named the sound."""
        own = names_of(self.clip.label, self.clip.audioset)
        if self.kind is not None:  # its title may tell more: a "punch_impact" that is a cymbal
            own += names_of(self.kind.name, self.kind.audioset) or names_of_kind(self.kind)
        return tuple(dict.fromkeys(own))

    @property
    def single(self) -> bool:
        """Whether it is known to be one sound of one kind: its label was given by people who listened."""
        return self.clip.trust == "class" and self.kind is not None and bool(self.names)


@dataclass(frozen=True)
class TwoEvents:
    """One sound and then another."""

    wave: Wave
    first: DevClip
    second: DevClip


@dataclass(frozen=True, eq=False)
class DevSounds:
    corpus: Corpus
    clips: tuple[DevClip, ...]

    @classmethod
    def read(
        cls, corpus: Corpus, every: int = 1, progress: Callable[[int, int], None] | None = None, threads: int = 2
    ) -> DevSounds:
        """Decode the split, or every n-th clip of it."""
        clips = sorted(corpus.split("dev"), key=lambda clip: clip.file)[::every]

        def decode(clip: Clip) -> DevClip:
            wave = read_sound(corpus.folder / clip.file, RATE)
            kind = kind_of(clip.label, clip.title)
            return DevClip(clip, wave, kind, corpus.teacher[clip.file].max(0))

        decoded = []
        with ThreadPoolExecutor(threads) as pool:
            for done, clip in enumerate(pool.map(decode, clips), 1):
                decoded.append(clip)
                if progress is not None:
                    progress(done, len(clips))
        return cls(corpus, tuple(decoded))

    @cached_property
    def singles(self) -> tuple[DevClip, ...]:
        return tuple(clip for clip in self.clips if clip.single)

    def by_kind(self) -> dict[str, list[DevClip]]:
        """Single-sound clips by their plain kind."""
        found: dict[str, list[DevClip]] = {}
        for clip in self.singles:
            assert clip.kind is not None
            found.setdefault(clip.kind.base, []).append(clip)
        return dict(sorted(found.items()))

    def two_event_scenes(self, count: int) -> list[TwoEvents]:
        """Ten seconds each: a sound, a short gap, another sound of a kind that words can tell apart from the first."""
        chance = np.random.default_rng(300)
        kinds = self.by_kind()
        scenes: list[TwoEvents] = []
        for _ in range(100 * count):  # most draws fit; a corpus of one kind must not hang
            if len(scenes) == count or len(kinds) < 2:
                break
            drawn = chance.choice(sorted(kinds), 2, replace=False)
            first, second = (kinds[name][int(chance.integers(len(kinds[name])))] for name in drawn)
            if distinguishable(first, second):
                scenes.append(TwoEvents(_one_after_another(first, second, chance), first, second))
        return scenes

    def supported(self, clip: DevClip) -> frozenset[str]:
        """The labels a caption of a clip may speak of: what people say it is, and what the teacher hears in it."""
        names = self.corpus.names
        heard = {names[place] for place in np.flatnonzero(clip.teacher > HEARD_BY_TEACHER)}
        kinds = clip.kind.heard if clip.kind is not None else frozenset()
        return frozenset(heard | kinds | {clip.clip.label, *clip.clip.audioset, *clip.names})


def distinguishable(one: DevClip, other: DevClip) -> bool:
    """Whether ears and words can tell two clips' sounds apart."""
    if one.kind is None or other.kind is None or related(one.kind, other.kind):
        return False
    return not shares_words(one.names, other.names)


def loudest_part(wave: Wave, seconds: float) -> Wave:
    """The stretch of a sound that holds most of its energy, faded at its ends."""
    size = round(seconds * RATE)
    if len(wave) > size:
        energy = np.concatenate([[0.0], np.cumsum(np.square(wave, dtype=np.float64))])
        starts = np.arange(0, len(wave) - size + 1, FRAME)
        # A sound begins softly and cannot be told by its loudest part alone: keep a little of what leads up to it.
        best = int(starts[int(np.argmax(energy[starts + size] - energy[starts]))])
        wave = wave[max(0, best - FRAME) :][:size]
    wave = wave.copy()
    fade = min(FADE, len(wave) // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        wave[:fade] *= ramp
        wave[-fade:] *= ramp[::-1]
    return wave


def at_level(wave: Wave, level_db: float) -> Wave:
    """The same with this level while it sounds, kept below full scale."""
    loud = frame_levels(wave)
    rms = float(np.sqrt(np.square(loud[loud > loud.max(initial=0) * 0.1]).mean())) if loud.size and loud.max() else 0.0
    if rms == 0:
        return wave
    gain = 10 ** (level_db / 20) / rms
    gain = min(gain, 0.95 / float(np.abs(wave).max()))
    return np.asarray(wave * np.float32(gain), np.float32)


def frame_levels(wave: Wave) -> NDArray[np.float64]:
    """RMS of every 20 ms, (frames,); a shorter rest counts as one frame."""
    frames = [wave[at : at + FRAME] for at in range(0, len(wave), FRAME)]
    return np.array([np.sqrt(np.mean(np.square(frame, dtype=np.float64))) for frame in frames])


def room_tone(samples: int, chance: np.random.Generator, level_db: float = FLOOR_DB) -> Wave:
    """Faint noise, falling towards high frequencies as that of rooms and microphones does."""
    white = np.fft.rfft(chance.standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 50.0)
    noise = np.fft.irfft(white / np.sqrt(hertz), samples)
    return np.asarray(noise * (10 ** (level_db / 20) / noise.std()), np.float32)


def _one_after_another(first: DevClip, second: DevClip, chance: np.random.Generator) -> Wave:
    scene = room_tone(10 * RATE, chance)
    at = chance.uniform(0.2, 0.8)
    for clip in (first, second):
        wave = at_level(loudest_part(clip.wave, chance.uniform(2.5, 4.0)), chance.uniform(-26, -18))
        start = round(at * RATE)
        scene[start : start + len(wave)] += wave[: len(scene) - start]
        at += len(wave) / RATE + chance.uniform(0.3, 0.8)
    return scene


def corpus_of(folder: Path) -> Corpus:
    from samcli.text.labels import labels

    return Corpus.read(folder, labels())


class Measurement:
    """The clips, decoded, and the clock that began with them."""

    def __init__(self, model: SoundModel, corpus_folder: str | Path, every: int, progress: Progress) -> None:
        self._model, self._began = model, time.monotonic()
        self.sounds = DevSounds.read(
            corpus_of(Path(corpus_folder)), every, lambda done, total: progress("reading the clips", done, total)
        )

    def report(self, size: dict[str, Any], figures: Sequence[Figure], details: dict[str, Any]) -> dict[str, Any]:
        """What all suites report: who was measured, on how much, in what time, and what was found."""
        return {
            "model": self._model.name,
            "revision": self._model.revision,
            **size,
            "seconds_taken": round(time.monotonic() - self._began, 1),
            "figures": [figure.to_dict() for figure in figures],
            "details": details,
        }
