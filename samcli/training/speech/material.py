"""Recordings of speech with what is said in them, and one recording as many.

They come in folders like LibriSpeech's, or in tables of file and text. Other voices, paces, rooms and microphones are
made on a recording's log-mel frames.
"""

from __future__ import annotations

import csv
import math
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.audio.fbank import FLOOR, MELS
from samcli.engine.inputs.find import Input
from samcli.errors import UsageError
from samcli.models.speech import STACK, TAIL_STEPS

TRANSCRIPTS = "*.trans.txt"  # lines of an id and the text, beside the recordings
SUFFIXES = (".flac", ".wav", ".opus", ".ogg", ".mp3")
FILES = ("file", "path", "file_name", "filename", "audio")
TEXTS = ("text", "transcript", "transcription", "sentence")
OTHER = re.compile(r"[^\w']|_")
LEAST = math.log(FLOOR)
NARROW_BANDS = 96  # below 4 kHz, all that a telephone leaves
PER_DECIBEL = math.log(10) / 10

Frames = NDArray[np.float32]  # (frames, mels) log energies


class Utterance(NamedTuple):
    file: str
    text: str  # as it is spelled


def spelled(text: str) -> str:
    """Lower case, letters, digits and apostrophes; one space between words."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'").lower()
    return " ".join(word.strip("'") for word in OTHER.sub(" ", plain).split() if word.strip("'"))


def read_speech(place: Path) -> list[Utterance]:
    """Every utterance of a folder or a table that has words."""
    if not place.exists():
        raise UsageError(f"There is no file or folder named {str(place)!r}.")
    found = [Utterance(file, spelled(text)) for file, text in (_table if place.is_file() else _folder)(place)]
    found = [utterance for utterance in found if utterance.text]
    if not found:
        raise UsageError(f"{str(place)!r} holds no speech with its words: neither {TRANSCRIPTS} nor file and text.")
    return found


def _folder(folder: Path) -> Iterator[tuple[str, str]]:
    lists = sorted(folder.rglob(TRANSCRIPTS))
    tables = sorted(folder.glob("*.csv"))
    if not lists and len(tables) == 1:
        yield from _table(tables[0])
    for path in lists:
        for line in _text(path).splitlines():
            name, _, text = line.strip().partition(" ")
            if name:
                yield str(_recording(path.parent, name)), text


def _recording(folder: Path, name: str) -> Path:
    files = [folder / (name + suffix) for suffix in SUFFIXES]
    return next((file for file in files if file.exists()), files[0])  # one that is missing is said when it is read


def _table(path: Path) -> Iterator[tuple[str, str]]:
    lines = _text(path).splitlines()
    rows = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    file = next((names[name] for name in FILES if name in names), None)
    text = next((names[name] for name in TEXTS if name in names), None)
    if file is None or text is None:
        raise UsageError(f"{str(path)!r} needs the columns file and text; it has {', '.join(names) or 'none'}.")
    for row in rows:
        if row[file]:
            yield os.path.join(path.parent, row[file]), row[text] or ""  # noqa: PTH118 (names stay as they were typed)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error}.") from None


def symbols_of(utterances: Sequence[Utterance]) -> str:
    """Every character that is written, in order; the space that parts words is always one."""
    return "".join(sorted({" ", *(character for utterance in utterances for character in utterance.text)}))


def inputs_of(utterances: Sequence[Utterance]) -> list[Input]:
    """Every recording once."""
    return [Input(file, file, None, file) for file in dict.fromkeys(utterance.file for utterance in utterances)]


@dataclass(frozen=True)
class Variety:
    """How far examples stray from their recordings. All zero: not at all."""

    pace: float = 0.1  # share that speech is quicker or slower at most
    voice: float = 0.08  # share that its resonances move at most
    level: float = 8.0  # decibels up or down at most
    narrow: float = 0.2  # share that is heard as through a telephone
    noisy: float = 0.3  # share with noise
    loudest_noise: float = 20.0  # decibels below the speech
    masks: int = 2  # of bands, and as many of time


NONE = Variety(0, 0, 0, 0, 0, 0, 0)


def varied(frames: Frames, variety: Variety, rng: np.random.Generator) -> Frames:
    """Another voice at another pace, louder or softer."""
    if variety.pace:
        count = max(1, round(len(frames) * (1 + rng.uniform(-variety.pace, variety.pace))))
        frames = _between(frames, np.linspace(0, len(frames) - 1, count))
    if variety.voice:
        bands = np.arange(MELS) * (1 + rng.uniform(-variety.voice, variety.voice))
        frames = _between(frames.T, np.clip(bands, 0, MELS - 1)).T
    return frames + rng.uniform(-variety.level, variety.level) * PER_DECIBEL


def _between(rows: Frames, places: NDArray[np.float64]) -> Frames:
    """Rows at places between them."""
    low = np.minimum(places.astype(int), max(0, len(rows) - 2))
    high = np.minimum(low + 1, len(rows) - 1)
    part = (places - low)[:, None].astype(np.float32)
    mixed: Frames = rows[low] * (1 - part) + rows[high] * part
    return mixed


def joined(parts: Sequence[Frames], variety: Variety, rng: np.random.Generator) -> Frames:
    """One after another with pauses, in one room, and the silence that follows every recording."""
    quiet = min(float(np.quantile(part, 0.05)) for part in parts)
    pieces = []
    for part in parts:
        pause = rng.integers(0, 30) if variety.pace or len(parts) > 1 else 0  # up to 0.3 s
        pieces += [_hiss(int(pause), quiet, rng), part]
    frames = np.concatenate(pieces).astype(np.float32)
    if variety.noisy and rng.random() < variety.noisy:
        frames = _in_noise(frames, variety, rng)
    if variety.narrow and rng.random() < variety.narrow:
        frames[:, NARROW_BANDS:] = np.minimum(frames[:, NARROW_BANDS:], frames.min())
    for _ in range(variety.masks):
        _mask(frames, rng)
    frames = np.maximum(frames, LEAST)
    rest = -len(frames) % STACK + TAIL_STEPS * STACK
    return np.pad(frames, ((0, rest), (0, 0)), constant_values=LEAST)


def _hiss(count: int, level: float, rng: np.random.Generator) -> Frames:
    """Noise of one level, scattered about it as the energies of noise are."""
    noise: Frames = np.float32(level) + np.float32(0.7) * rng.standard_normal((count, MELS), np.float32)
    return noise


def _in_noise(frames: Frames, variety: Variety, rng: np.random.Generator) -> Frames:
    below = rng.uniform(variety.loudest_noise, 50.0)
    level = float(np.quantile(frames, 0.95)) - below * PER_DECIBEL
    tilt = np.linspace(rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), MELS, dtype=np.float32)
    mixed: Frames = np.logaddexp(frames, _hiss(len(frames), level, rng) + tilt)
    return mixed


def _mask(frames: Frames, rng: np.random.Generator) -> None:
    """A few bands and a moment are hidden behind the mean (SpecAugment)."""
    mean = float(frames.mean())
    width, length = int(rng.integers(0, 16)), int(rng.integers(0, 1 + min(40, len(frames) // 12)))
    band, start = int(rng.integers(0, MELS - width)), int(rng.integers(0, 1 + len(frames) - length))
    frames[:, band : band + width] = mean
    frames[start : start + length] = mean
