"""Scenes made on the fly from the corpus' filter-bank features.

Everything happens on mel power spectra: sounds add, an equaliser multiplies bands, a room smears frames. That is a
hundred times cheaper than mixing waves, and at this resolution hardly different. What was placed where is known, so
every scene comes with targets per time step and, for the words, a script.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.audio.mel32 import FFT, PREEMPHASIS, SAMPLE_RATE, triangles
from samcli.training.nano.corpus import Clip

FloatArray = NDArray[np.float32]

BINS = 128
SILENCE = np.float32(1e-12)  # power
QUIET = "silence"  # the label of what holds nothing
FRAMES_PER_SECOND = 100
FRAMES_PER_STEP = 8  # the encoder's
NATS_PER_DB = np.float32(np.log(10) / 10)
NOISE_SLOPES = (-0.3, 2.3)  # power falls with frequency to this power: 0 white, 1 pink, 2 brown
LOWEST_HZ = 50.0  # below which rooms' noise rises no more
_SLOPES = np.linspace(*NOISE_SLOPES, 14)


@dataclass(frozen=True)
class MixOptions:
    sources: tuple[float, ...] = (0.02, 0.46, 0.42, 0.1)  # chance of 0, 1, 2, 3 sounds
    in_turn: float = 0.6  # chance that several sounds follow each other; otherwise they may overlap
    second_level_db: tuple[float, float] = (-14.0, 3.0)  # of later sounds against the first
    turn_level_db: tuple[float, float] = (-8.0, 8.0)  # the same where they follow each other
    stretch: float = 0.3  # chances of each effect on one sound
    shift: float = 0.35
    equaliser: float = 0.6
    band_limit: float = 0.2
    room: float = 0.25
    coding: float = 0.15
    narrow: float = 0.15  # telephones, old recorders, low sample rates
    masks: float = 0.6


class Placed(NamedTuple):
    """One sound of a scene."""

    clip: Clip
    spans: tuple[tuple[float, float], ...]  # seconds within the scene, one for each time it is heard
    level_db: float  # loudest frame, against the scene's loudest sound
    crop: tuple[float, float]  # the part of the clip that is used, in seconds


class Mixture(NamedTuple):
    mel: FloatArray  # (frames, bins) of log power; how loud it all is means nothing here
    placed: list[Placed]
    activity: FloatArray  # (sounds, steps): share of the step in which the sound is heard
    weight: FloatArray  # (sounds,): 1 for what is plainly heard, towards 0 when masked by the others
    noise_db: float  # background noise against the loudest sound
    room_seconds: float  # reverberation, 0 when dry
    peak_db: float  # mean mel power of the loudest frame of the first sound as it was recorded, dB


class Mixer:
    def __init__(self, options: MixOptions, rng: np.random.Generator) -> None:
        self.options = options
        self.rng = rng

    def scene(self, sounds: list[tuple[Clip, FloatArray]], frames: int) -> Mixture:
        """`sounds`: clips with their log energies (frames, bins)."""
        rng, options = self.rng, self.options
        steps = -(-frames // FRAMES_PER_STEP)
        total = np.zeros((frames, BINS), np.float32)
        placed: list[Placed] = []
        layers: list[FloatArray] = []
        room = float(rng.uniform(0.15, 1.8)) if rng.random() < options.room else 0.0
        turns = self._turns(len(sounds), frames)
        levels = options.turn_level_db if turns else options.second_level_db
        for number, (clip, log_mel) in enumerate(sounds):
            log_mel = self._vary(log_mel)
            if turns:
                power, spans, crop = self._in_turn(log_mel, frames, *turns[number])
            else:
                power, spans, crop = self._place(log_mel, frames, alone=len(sounds) == 1)
            if room:
                power = smear(power, room)
            level = float(rng.uniform(*levels)) if number else 0.0
            # Silence is no louder than it was recorded.
            peak = 1.0 if clip.label == QUIET else float(power.mean(1).max()) or 1.0
            power *= np.float32(10 ** (level / 10) / peak)
            placed.append(Placed(clip, spans, level, crop))
            layers.append(power)
            total += power
        noise_db = -90.0
        if rng.random() < 0.7 or not sounds:
            noise_db = float(rng.uniform(-70, -12))
            total += self._noise(frames) * np.float32(10 ** (noise_db / 10))
        activity = (
            np.stack([_activity(layer, steps) for layer in layers]) if layers else np.zeros((0, steps), np.float32)
        )
        weight = np.array([_audibility(layer, total) for layer in layers], np.float32)
        if rng.random() < options.narrow:
            total = self._narrowed(total)
        mel = np.log(total + SILENCE)
        if rng.random() < options.coding:
            mel = np.maximum(mel, mel.max(1, keepdims=True) - np.float32(rng.uniform(30, 50)) * NATS_PER_DB)
        if rng.random() < options.masks:
            self._mask(mel)
        return Mixture(mel.astype(np.float32), placed, activity, weight, noise_db, room, self._level(sounds))

    def _level(self, sounds: list[tuple[Clip, FloatArray]]) -> float:
        """Level of the first sound as it was recorded, dB."""
        if not sounds:
            return -60.0
        return float(np.log(np.exp(sounds[0][1].astype(np.float32)).mean(1).max() + 1e-7)) / float(NATS_PER_DB)

    def _narrowed(self, power: FloatArray) -> FloatArray:
        """Without what a telephone or an old recorder loses."""
        rng = self.rng
        power[:, int(rng.integers(70, 110)) :] *= np.float32(1e-6)
        if rng.random() < 0.4:
            power[:, : int(rng.integers(5, 16))] *= np.float32(1e-4)
        return power

    def _vary(self, log_mel: FloatArray) -> FloatArray:
        rng, options = self.rng, self.options
        x = log_mel.astype(np.float32)
        if rng.random() < options.stretch and len(x) > 4:
            x = _resample(x, round(len(x) * rng.uniform(0.82, 1.22)), axis=0)
        if rng.random() < options.shift:
            shift = rng.uniform(-7, 7)
            bins = np.clip(np.arange(BINS) - shift, 0, BINS - 1)
            low = bins.astype(int)
            high = np.minimum(low + 1, BINS - 1)
            part = (bins - low).astype(np.float32)
            x = x[:, low] * (1 - part) + x[:, high] * part
        curve = np.zeros(BINS, np.float32)
        if rng.random() < options.equaliser:
            at = np.linspace(0, np.pi, BINS)
            for order in (0.5, 1, 2, 3):
                curve += (rng.normal(0, 3.0) * np.cos(order * at + rng.uniform(0, 2 * np.pi))).astype(np.float32)
        if rng.random() < options.band_limit:
            edge, slope = rng.integers(60, BINS), rng.uniform(1, 8)
            curve -= np.maximum(0, np.arange(BINS) - edge).astype(np.float32) * np.float32(slope)
        if rng.random() < options.band_limit / 2:
            edge, slope = rng.integers(4, 40), rng.uniform(0.5, 4)
            curve -= np.maximum(0, edge - np.arange(BINS)).astype(np.float32) * np.float32(slope)
        return np.asarray(x + curve * NATS_PER_DB, np.float32)

    def _turns(self, sounds: int, frames: int) -> list[tuple[int, int]]:
        """First and last frame of each sound's turn; none when the sounds may overlap."""
        rng = self.rng
        if sounds < 2 or rng.random() >= self.options.in_turn:
            return []
        end = frames if rng.random() < 0.5 else round(frames * rng.uniform(0.6, 1.0))
        cuts = np.cumsum(rng.dirichlet(np.full(sounds, 8.0))) * end
        edges = [0, *(round(cut) for cut in cuts[:-1]), end]
        return [(first, last) for first, last in pairwise(edges)]

    def _in_turn(
        self, log_mel: FloatArray, frames: int, first: int, last: int
    ) -> tuple[FloatArray, tuple[tuple[float, float], ...], tuple[float, float]]:
        """A sound within its turn, often with a moment of quiet before the next."""
        pause = min(int(self.rng.uniform(0, 0.8) * FRAMES_PER_SECOND), (last - first) // 3)
        part, spans, crop = self._place(log_mel, last - first - pause, alone=True)
        out = np.zeros((frames, BINS), np.float32)
        out[first : first + len(part)] = part
        shift = first / FRAMES_PER_SECOND
        return out, tuple((start + shift, end + shift) for start, end in spans), crop

    def _place(
        self, log_mel: FloatArray, frames: int, alone: bool
    ) -> tuple[FloatArray, tuple[tuple[float, float], ...], tuple[float, float]]:
        """Crop or place a sound in the scene; short ones may come again."""
        rng = self.rng
        length = len(log_mel)
        power = np.exp(log_mel)
        out = np.zeros((frames, BINS), np.float32)
        if length >= frames:
            loud = power.mean(1)
            starts = rng.integers(0, length - frames + 1, size=3)
            if rng.random() < 0.75:  # usually the liveliest of three crops, so that the label's sound is in it
                start = int(max(starts, key=lambda s: float(np.sqrt(loud[s : s + frames]).sum())))
            else:
                start = int(starts[0])
            out += power[start : start + frames]
            return (
                out,
                ((0.0, frames / FRAMES_PER_SECOND),),
                (start / FRAMES_PER_SECOND, (start + frames) / FRAMES_PER_SECOND),
            )
        times = 1
        if length < frames / 2 and rng.random() < (0.35 if alone else 0.2):
            times = int(rng.integers(2, 5))
        spans: list[tuple[float, float]] = []
        at = int(rng.integers(0, frames - length + 1))
        if times > 1:
            at = int(rng.integers(0, max(1, frames - times * length)))
        gap = int(length * rng.uniform(1.0, 1.8))
        for _ in range(times):
            end = min(at + length, frames)
            if end - at < min(length, 20):
                break
            out[at:end] += power[: end - at] * np.float32(10 ** (rng.normal(0, 1.0) / 10))
            spans.append((at / FRAMES_PER_SECOND, end / FRAMES_PER_SECOND))
            at += gap
        return out, tuple(spans), (0.0, length / FRAMES_PER_SECOND)

    def _noise(self, frames: int) -> FloatArray:
        """Steady noise of a random colour, its loudest band at 1."""
        rng = self.rng
        noise = grain_of_noise(frames, rng) * colour_of_noise(rng)
        if rng.random() < 0.3:  # slow swell
            time = np.arange(frames) / FRAMES_PER_SECOND
            swell = np.sin(2 * np.pi * rng.uniform(0.1, 1) * time + rng.uniform(0, 6))
            noise = noise * (1 + rng.uniform(0, 0.8) * swell)[:, None]
        return np.asarray(noise, np.float32)

    def _mask(self, mel: FloatArray) -> None:
        rng = self.rng
        fill = np.float32(mel.mean())
        for _ in range(int(rng.integers(1, 3))):
            width = int(rng.integers(0, 20))
            start = int(rng.integers(0, BINS - width))
            mel[:, start : start + width] = fill
        for _ in range(int(rng.integers(1, 3))):
            width = int(rng.integers(0, max(2, min(40, len(mel) // 8))))
            start = int(rng.integers(0, len(mel) - width))
            mel[start : start + width] = fill


def smear(power: FloatArray, seconds: float, wet: float = 0.3) -> FloatArray:
    """A room: every frame rings on and has lost 60 dB after `seconds`."""
    keep = 10 ** (-6 / (seconds * FRAMES_PER_SECOND))
    fed = wet * (1 - keep) * 10 * power.astype(np.float64)
    tail = np.zeros_like(fed)
    for frame in range(1, len(tail)):
        tail[frame] = fed[frame - 1] + keep * tail[frame - 1]
    return np.asarray(power + tail, np.float32)


def colour_of_noise(rng: np.random.Generator) -> FloatArray:
    """The bands' powers of noise between a little blue and brown, the loudest at 1: rooms, wind, hiss."""
    curve = np.interp(rng.uniform(*NOISE_SLOPES), _SLOPES, np.arange(len(_SLOPES)))
    low = int(curve)
    part = curve - low
    colours = _colours()
    level = colours[low] * (1 - part) + colours[min(low + 1, len(_SLOPES) - 1)] * part
    level = level + rng.normal(0, 3) * np.cos(np.linspace(0, np.pi, BINS) * rng.uniform(0.5, 3))  # dB
    return np.asarray(np.exp((level - level.max()) * NATS_PER_DB), np.float32)


def grain_of_noise(frames: int, rng: np.random.Generator) -> FloatArray:
    """How noise fluctuates, (frames, bins) around 1: a band's power is about gamma distributed."""
    width = np.linspace(1, 6, BINS, dtype=np.float32)  # higher bands join more bins and fluctuate less
    return rng.standard_gamma(np.broadcast_to(width, (frames, BINS)), dtype=np.float32) / width


@cache
def _colours() -> NDArray[np.float64]:
    """(slopes, bins) in dB: what the filter bank makes of noise whose power falls with frequency to each power."""
    hertz = np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT
    emphasis = np.abs(1 - PREEMPHASIS * np.exp(-2j * np.pi * hertz / SAMPLE_RATE)) ** 2
    power = np.stack([emphasis * np.maximum(hertz, LOWEST_HZ) ** -slope for slope in _SLOPES])
    return np.asarray(10 * np.log10(power @ triangles().double().numpy()), np.float64)


def _resample(x: FloatArray, length: int, axis: int) -> FloatArray:
    at = np.linspace(0, x.shape[axis] - 1, length)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    part = (at - low).astype(np.float32)[:, None]
    return np.asarray(x[low] * (1 - part) + x[high] * part, np.float32)


def _activity(power: FloatArray, steps: int) -> FloatArray:
    """Share of each step within 35 dB of the sound's own peak."""
    loud = power.mean(1)
    heard = (loud > max(float(loud.max()) * 10**-3.5, 1e-9)).astype(np.float32)
    padded = np.zeros(steps * FRAMES_PER_STEP, np.float32)
    padded[: len(heard)] = heard
    return np.asarray(padded.reshape(steps, FRAMES_PER_STEP).mean(1), np.float32)


def _audibility(power: FloatArray, total: FloatArray) -> float:
    """How far a sound stands out: its best share of the power in any band, over its loudest frames."""
    loud = power.mean(1)
    frames = np.argsort(loud)[-max(1, len(loud) // 20) :]
    share = float((power[frames] / (total[frames] + 1e-12)).max(1).mean())
    return float(np.clip(share / 0.4, 0, 1))
