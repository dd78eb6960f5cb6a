"""A stretch of sound as a picture: a mel spectrogram in PNG."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import input_error, open_input
from samcli.errors import InputError

RATE, SIZE, BANDS, MOST_SECONDS = 16_000, 1024, 128, 60.0
WIDTH, HEIGHT = 1000, 384  # pixels, at most and exactly
RANGE_DB = 80.0


def picture(item: Input, start: float, seconds: float) -> bytes:
    """PNG of a stretch."""
    return png(levels(stretch(item, start, min(seconds, MOST_SECONDS))))


def stretch(item: Input, start: float, seconds: float) -> NDArray[np.float32]:
    """The samples of a stretch; the rest of the sound is not kept."""
    first, last = round(start * RATE), round((start + seconds) * RATE)
    at, parts = 0, []
    try:
        with open_input(item, RATE) as reader:
            for block in reader:
                parts.append(block[max(0, first - at) : max(0, last - at)])
                at += len(block)
                if at >= last:
                    break
    except Exception as error:
        raise input_error(error, item) from error
    wave = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if len(wave) < SIZE:
        raise InputError(f"{item.display!r} holds no sound from {start:g} s on; it lasts {at / RATE:.2f} s.", "empty")
    return wave


def levels(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """(bands, columns): decibels below the loudest place, as 0 to 1."""
    columns = min(WIDTH, max(8, len(wave) // 160))
    starts = np.linspace(0, len(wave) - SIZE, columns).astype(int)
    power = np.stack([np.abs(np.fft.rfft(wave[at : at + SIZE] * np.hanning(SIZE))) ** 2 for at in starts], axis=1)
    bands = _filters() @ power
    decibels = 10 * np.log10(np.maximum(bands, 1e-10))
    return np.asarray(np.clip((decibels - decibels.max()) / RANGE_DB + 1, 0, 1), np.float32)


def _filters() -> NDArray[np.float64]:
    """(bands, bins): triangles, evenly spaced on the mel scale."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, RATE / 2, SIZE // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(1e-6, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))


def png(shares: NDArray[np.float32]) -> bytes:
    """Low pitch below; dark violet to yellow."""
    import av

    rows = np.repeat(shares[::-1], HEIGHT // BANDS, axis=0)
    width = max(rows.shape[1], 400)
    rows = rows[:, np.linspace(0, rows.shape[1] - 1, width).astype(int)]
    colour = np.stack([rows**0.8, rows**1.6, 0.25 + 0.5 * rows * (1 - rows) * 2], axis=2)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(colour * 255, np.uint8), format="rgb24")
    coder: Any = av.CodecContext.create("png", "w")
    coder.width, coder.height, coder.pix_fmt, coder.framerate = width, HEIGHT, "rgb24", 1
    out = io.BytesIO()
    for packet in [*coder.encode(frame), *coder.encode(None)]:
        out.write(bytes(packet))
    return out.getvalue()
