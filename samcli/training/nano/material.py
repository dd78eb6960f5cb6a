"""The corpus, ready to train on: frames computed once, synthetic sounds added, targets and scripts for every clip.

The synthetic ones are what no recordist uploads but every folder holds: silence, test tones, beeps and noises. They are
made from a seed, cost nothing to license, and teach the model to say "a steady tone" instead of inventing a siren.

Soft targets are an encoder's own scores of every clip, blended with the teacher's. A label is one person's word for a
clip, the teacher's opinion that of a network that never heard clips like these; the encoder has learned from both, and
the mean of its logits and the teacher's is better than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from samcli.audio.front_end import EVEN_32K
from samcli.engine.inputs.find import Input
from samcli.errors import InputError
from samcli.models.encoders.nano import NanoEncoder
from samcli.training.frames import INDEX, FrameStore, make_frames
from samcli.training.language.script import Scripts
from samcli.training.loop import Report
from samcli.training.nano.corpus import TEACHER_WINDOW_SECONDS, Clip, Corpus, Targets
from samcli.training.nano.mixer import FRAMES_PER_SECOND
from samcli.writers.files import write_whole

RATE = 16_000  # of the synthetic sounds
FloatArray = NDArray[np.float32]

SoftTargets = dict[str, NDArray[np.float32]]  # file -> probabilities (started 10 s windows, classes)

WINDOW = round(TEACHER_WINDOW_SECONDS * FRAMES_PER_SECOND)
TEACHER_SHARE = 0.3  # of the mean of logits
LEAST = 1e-4  # of a probability, before its logit is taken
STORED = "opinions.npz"


def tone(rng: np.random.Generator, seconds: float) -> FloatArray:
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = float(np.exp(rng.uniform(np.log(80), np.log(6000))))
    wave = np.sin(2 * np.pi * pitch * time)
    if rng.random() < 0.3:  # a little harmonic distortion, as cheap generators have
        wave = wave + rng.uniform(0.02, 0.3) * np.sin(4 * np.pi * pitch * time)
    return np.asarray(wave, np.float32)


def beeps(rng: np.random.Generator, seconds: float) -> FloatArray:
    wave = tone(rng, seconds)
    period, on = rng.uniform(0.25, 1.2), rng.uniform(0.2, 0.6)
    time = np.arange(len(wave)) / RATE
    return np.asarray(wave * ((time % period) < on * period), np.float32)


def noise(rng: np.random.Generator, seconds: float, slope: float) -> FloatArray:
    """Noise whose power falls with frequency to the power `slope`: 0 white, 1 pink, 2 brown."""
    samples = int(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 20.0)
    wave = np.fft.irfft(spectrum * hertz ** (-slope / 2), samples)
    return np.asarray(wave / np.abs(wave).max(), np.float32)


def silence(rng: np.random.Generator, seconds: float) -> FloatArray:
    """From nothing at all to the hiss of a quiet preamplifier."""
    level = 0.0 if rng.random() < 0.3 else 10 ** (rng.uniform(-90, -62) / 20)
    return np.asarray(rng.standard_normal(int(seconds * RATE)) * level, np.float32)


def synthetic_clips(seed: int = 5, each: int = 60) -> list[tuple[Clip, FloatArray]]:
    """Labelled with the names of kinds of sound, at varied levels."""
    kinds = {
        "tone": (("Sine wave",), tone),
        "beep": (("Beep, bleep",), beeps),
        "static": (("White noise", "Noise"), lambda rng, s: noise(rng, s, rng.uniform(0, 0.3))),
        "noise": (("Pink noise", "Noise"), lambda rng, s: noise(rng, s, rng.uniform(0.8, 2.0))),
        "silence": (("Silence",), silence),
    }
    made: list[tuple[Clip, FloatArray]] = []
    for label, (names, make) in kinds.items():
        rng = np.random.default_rng((seed, len(made)))
        for number in range(each):
            seconds = float(rng.uniform(2, 12))
            wave = make(rng, seconds)
            if label != "silence":
                wave = wave * np.float32(10 ** (rng.uniform(-30, -3) / 20))
            clip = Clip(f"synthetic/{label}/{number}", "train", "synthetic", label, "class", names, label, seconds)
            made.append((clip, wave))
    return made


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
    if store.skipped:
        (cache / INDEX).unlink()  # what is mended is read anew
        raise InputError(next(iter(store.skipped.values())))
    return store


def without_teacher(corpus: Corpus) -> Corpus:
    """The corpus as it is without the teacher: labels alone, and no clip to learn from that has none."""
    clips = tuple(clip for clip in corpus.clips if clip.split != "train" or clip.label)
    nothing = {file: np.zeros_like(windows) for file, windows in corpus.teacher.items()}
    return replace(corpus, clips=clips, teacher=nothing)


def compute_soft_targets(encoder: NanoEncoder, material: Material, out: Path, report: Report) -> SoftTargets:
    """Of every training clip; computed once and kept in OUT."""
    path = out / STORED
    if not path.exists():
        write_whole(path, _packed(_all_soft_targets(encoder, material, report)))
    with np.load(path) as stored:  # a first run goes on with what a resumed one will find
        return {name: rows.astype(np.float32) for name, rows in stored.items()}


def _all_soft_targets(encoder: NanoEncoder, material: Material, report: Report) -> SoftTargets:
    found: SoftTargets = {}
    clips = [clip for clip in material.corpus.split("train") if clip.source != "synthetic"]
    for number, clip in enumerate(clips):
        found[clip.file] = blended(logits_of(encoder, material, clip), material.corpus.teacher[clip.file])
        if number % 1000 == 0:
            report({"clips": number, "of": len(clips)})
    return found


@torch.no_grad()
def logits_of(encoder: NanoEncoder, material: Material, clip: Clip) -> NDArray[np.float32]:
    """Logits (started windows, classes)."""
    log_power = torch.from_numpy(np.asarray(material.store[clip.file], np.float32))
    rows = []
    for start in range(0, len(log_power), WINDOW):
        part = log_power[start : start + WINDOW]
        logits: Any = encoder(encoder.front_end.read(part[None])).clip_logits
        rows.append(logits[0].float().numpy())
    return np.stack(rows)


def blended(logits: NDArray[np.float32], teacher: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of logits, as probabilities; a window that the teacher did not judge is the encoder's alone."""
    known = teacher[: len(logits)].clip(LEAST, 1 - LEAST)
    mean = logits.copy()
    mean[: len(known)] += TEACHER_SHARE * (np.log(known / (1 - known)) - logits[: len(known)])
    return np.asarray(1 / (1 + np.exp(-mean)), np.float32)


def _packed(targets: SoftTargets) -> bytes:
    import io

    file = io.BytesIO()
    np.savez_compressed(file, **{name: rows.astype(np.float16) for name, rows in targets.items()})  # type: ignore[arg-type]
    return file.getvalue()
