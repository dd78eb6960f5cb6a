"""The samples of decoded frames as one mono wave."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.audio.resample import Wave

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
