"""A small spectrogram of a recording of any length, drawn while it is decoded, in memory that does not grow.

Columns are kept at a width of time that doubles whenever there would be too many of them, so the picture of a night
costs what that of a minute does.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from samcli.audio.waves import Wave

Floats = NDArray[np.float32]

COLUMNS, BANDS = 480, 56
FRAMES_PER_SECOND = 50
TRANSFORM = 512  # samples of each frame, at rates up to 16 kHz; longer at higher ones
RANGE_DB = 55.0  # from black to the lightest
LOUDEST_SHARE = 99.7  # per cent of the points lie below the lightest
QUIETEST_DB = -110.0
LOWEST_HZ = 60.0
QUALITY = "55"
# From night to noon: a dark blue that both light and dark pages carry, then green, then pale yellow.
COLOURS = ((0.0, 13, 17, 38), (0.3, 38, 62, 110), (0.55, 34, 126, 130), (0.8, 132, 196, 112), (1.0, 253, 244, 190))


def stretch(blocks: Iterable[Wave], rate: int, start: float, end: float) -> tuple[Wave, float]:
    """The samples between two times, and how many seconds were read to come there; the rest is not kept."""
    first, last = round(start * rate), round(end * rate)
    kept, at = [np.zeros(0, np.float32)], 0
    for block in blocks:
        kept.append(block[max(0, first - at) : max(0, last - at)])
        at += len(block)
        if at >= last:
            break
    return np.concatenate(kept), at / rate


class Picture:
    """Feed it what is decoded, then ask for the image."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.frames = 1  # in a column
        self.columns: list[Floats] = []  # that are full
        self._rest = np.zeros((0, BANDS), np.float32)  # frames of the column under way

    def add(self, wave: Wave) -> None:
        """The next samples, any number of them."""
        found = np.concatenate([self._rest, levels_of(wave, self.rate)])
        whole = len(found) // self.frames * self.frames
        self.columns += list(found[:whole].reshape(-1, self.frames, BANDS).max(axis=1))
        self._rest = found[whole:]
        while len(self.columns) >= 2 * COLUMNS:
            self._halve()

    def _halve(self) -> None:
        even = len(self.columns) // 2 * 2
        pairs = np.stack(self.columns[:even]).reshape(-1, 2, BANDS).max(axis=1)
        if even < len(self.columns):  # the odd one goes back to the frames it stands for
            self._rest = np.concatenate([np.repeat(self.columns[even:], self.frames, axis=0), self._rest])
        self.columns, self.frames = list(pairs), 2 * self.frames

    def levels(self) -> Floats:
        """(columns, bands) in decibels, low tones first."""
        rest = [self._rest.max(axis=0)] if len(self._rest) else []
        return np.stack([*self.columns, *rest]) if self.columns or rest else np.zeros((0, BANDS), np.float32)

    def image(self) -> bytes:
        """The picture as WebP, at most twice `COLUMNS` wide; empty when nothing came."""
        levels = self.levels()
        return webp(coloured(levels)) if len(levels) else b""


def levels_of(wave: Wave, rate: int) -> Floats:
    """(frames, bands) in decibels."""
    hop = max(1, rate // FRAMES_PER_SECOND)
    size = TRANSFORM * max(1, round(rate / 16_000))
    count = -(-len(wave) // hop)
    if not count:
        return np.zeros((0, BANDS), np.float32)
    padded = torch.zeros((count - 1) * hop + size)
    padded[: min(len(wave), len(padded))] = torch.from_numpy(wave[: len(padded)])
    spectrum = torch.view_as_real(torch.fft.rfft(padded.unfold(0, size, hop) * torch.hann_window(size)))
    power = spectrum.square().sum(-1).numpy()  # (frames, bins)
    bands = power @ _filters(rate, size) / np.float32(size * size / 16)
    return np.asarray(10 * np.log10(np.maximum(bands, 10 ** (QUIETEST_DB / 10))), np.float32)


def coloured(levels: Floats) -> NDArray[np.uint8]:
    """(bands, columns, 3): from the quietest to the loudest of what is in it, high tones above."""
    top = float(np.percentile(levels, LOUDEST_SHARE))
    shade = np.clip((levels.T[::-1] - (top - RANGE_DB)) / RANGE_DB, 0, 1)
    stops = np.array(COLOURS)
    channels = [np.interp(shade, stops[:, 0], stops[:, channel]) for channel in (1, 2, 3)]
    return np.ascontiguousarray(np.stack(channels, axis=-1).round().astype(np.uint8))


def webp(pixels: NDArray[np.uint8]) -> bytes:
    """An image (height, width, 3) as a WebP file."""
    return _encoded(pixels, "libwebp", "yuv420p", {"quality": QUALITY})


def png(pixels: NDArray[np.uint8]) -> bytes:
    """The same as PNG."""
    return _encoded(pixels, "png", "rgb24", {})


def _encoded(pixels: NDArray[np.uint8], codec: str, layout: str, options: dict[str, str]) -> bytes:
    import av

    height, width, _ = pixels.shape
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, layout
    encoder.time_base = 1  # type: ignore[assignment]
    encoder.options = options
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=layout)
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


@lru_cache(maxsize=8)
def _filters(rate: int, size: int) -> Floats:
    """(bins, bands): triangles that lie evenly on the mel scale; each touches at least one bin."""
    bins = np.fft.rfftfreq(size, 1 / rate)
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (LOWEST_HZ, rate / 2))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    rise = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rise, fall)).astype(np.float32)
    filters[np.abs(bins[:, None] - edges[1:-1]).argmin(axis=0), np.arange(BANDS)] += 1e-3
    return np.asarray(filters / filters.sum(axis=0), np.float32)
