"""Mono waves: from decoded frames, at another rate, in blocks of another size; and how loud they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # of sam-nano and the published AudioSet models; a model says its own
# Hz: from telephones that were poor in their day to probes of ultrasound. A lower rate would let a few bytes stand for
# hours: 4 kB can claim 54 hours at 100 Hz.
RATES = range(4_000, 10_000_001)

Wave = NDArray[np.float32]  # (samples,)


class Resampler:
    """Mono float32 from `source_rate` to `rate`: push blocks of any size, then finish.

    The filter (soxr, "HQ") looks ahead a few milliseconds, so what a push returns lags behind what it was given;
    `finish` returns the rest. `n` samples become `n * rate / source_rate` in all, to the nearest one.
    """

    def __init__(self, source_rate: int, rate: int = SAMPLE_RATE) -> None:
        self._stream = None
        if source_rate != rate:
            import soxr

            self._stream = soxr.ResampleStream(source_rate, rate, 1, dtype="float32", quality="HQ")

    def push(self, block: Wave) -> Wave:
        if self._stream is None or block.size == 0:
            return block
        resampled: Wave = self._stream.resample_chunk(np.ascontiguousarray(block))
        return resampled

    def finish(self) -> Wave:
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest: Wave = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return rest


def resampled(wave: Wave, source_rate: int, rate: int) -> Wave:
    """A whole wave at another rate."""
    stream = Resampler(source_rate, rate)
    return np.concatenate([stream.push(wave), stream.finish()])


DTYPES = {"u8": np.uint8, "s16": np.int16, "s32": np.int32, "s64": np.int64, "flt": np.float32, "dbl": np.float64}
FULL_SCALE = {"u8": 1 << 7, "s16": 1 << 15, "s32": 1 << 31, "s64": 1 << 63, "flt": 1, "dbl": 1}


class Layout(NamedTuple):
    """How the samples of a decoded frame lie."""

    format: str  # FFmpeg's name; a final "p" is for planar
    channels: int
    rate: int


def samples_of(frame: Any, layout: Layout) -> NDArray[Any]:
    """A frame's samples: planar (channels, samples), packed (1, samples * channels).

    PyAV's own `to_ndarray` takes whatever lies behind the eighth plane for one more, and dies of it: a film's 7.1 sound
    ended the whole program.
    """
    name = layout.format.removesuffix("p")
    planes, each = (layout.channels, 1) if layout.format.endswith("p") else (1, layout.channels)
    found = frame.planes[:planes]
    if len(found) < planes:
        raise ValueError("planes are missing")
    if planes == 1:  # seen where they lie, which keeps the frame alive
        return np.frombuffer(found[0], DTYPES[name], frame.samples * each)[None]
    samples = np.empty((planes, frame.samples * each), DTYPES[name])  # np.stack takes longer than the decoder
    for row, plane in zip(samples, found, strict=True):
        row[:] = np.frombuffer(plane, DTYPES[name], row.size)
    return samples


# Damaged files hold numbers beyond all bounds; the reader refuses them, and numpy need not print about them first.
@np.errstate(over="ignore", invalid="ignore")
def weighted(samples: NDArray[np.float32], weights: Wave) -> Wave:
    mixed: Wave = samples @ weights
    return mixed


@np.errstate(over="ignore", invalid="ignore")
def mono(run: list[Any], layout: Layout) -> Wave:
    """The mean of the channels of decoded frames, in [-1, 1]."""
    name = layout.format.removesuffix("p")
    values = np.concatenate(run, axis=1)  # planar (channels, samples), packed (1, samples * channels)
    values = values.astype(np.float32, copy=False)
    if name == "u8":
        values = values - np.float32(128.0)
    if layout.channels == 1 and FULL_SCALE[name] == 1:
        only: Wave = values[0]
        return only
    weights = np.full(layout.channels, 1.0 / (layout.channels * FULL_SCALE[name]), np.float32)
    planar = layout.format.endswith("p")
    mixed: Wave = weights @ values if planar else values.reshape(-1, layout.channels) @ weights
    return mixed


Levels = NDArray[np.float64]  # in decibels of full scale

QUIETEST_DB = -120.0  # what digital silence is given, so that levels stay finite
STRETCH_SECONDS = 0.1  # long enough to hold a click, short enough not to dilute it


def regroup(blocks: Iterable[Wave], size: int) -> Iterator[Wave]:
    """The same samples in blocks of exactly `size`, the last one excepted."""
    pieces: list[Wave] = []
    held = 0
    for block in blocks:
        rest = block
        while held + rest.size >= size:
            take = size - held
            yield np.concatenate([*pieces, rest[:take]])
            pieces, held, rest = [], 0, rest[take:]
        if rest.size:
            pieces.append(rest.copy())  # the giver may use its buffer again
            held += rest.size
    if held:
        yield np.concatenate(pieces)


def level_db(wave: Wave) -> float:
    """The level of a wave in decibels, 0 being a full-scale square wave; a constant offset is not counted as sound."""
    if wave.size == 0:
        return QUIETEST_DB
    deviation = float(np.std(wave, dtype=np.float64))
    return float(max(QUIETEST_DB, 20.0 * float(np.log10(deviation)))) if deviation > 0 else QUIETEST_DB


def levels_db(wave: Wave, rate: int = SAMPLE_RATE) -> Levels:
    """The level of every tenth of a second; a rest that is shorter has one of its own."""
    size = max(1, round(STRETCH_SECONDS * rate))
    whole = wave.size // size * size
    stretches = wave[:whole].reshape(-1, size)  # (stretches, size)
    deviations = np.std(stretches, axis=1, dtype=np.float64)
    levels = np.full(len(stretches), QUIETEST_DB)
    np.log10(deviations, out=levels, where=deviations > 0)
    levels[deviations > 0] *= 20.0
    rest = [level_db(wave[whole:])] if wave.size > whole else []
    found: Levels = np.maximum(QUIETEST_DB, np.concatenate([levels, rest]))
    return found
