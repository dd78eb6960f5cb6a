"""Sounds to read, made by real encoders in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Encode = Callable[..., Path]


def make_voice(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """A reproducible wave below 1.5 kHz that never repeats, so that a shift shows: (samples, channels) float32."""
    time = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * (140 * time + 30 * np.sin(2 * np.pi * 0.7 * time))
    wave = sum(np.sin(k * pitch + k) / k for k in range(1, 8)) * (0.6 + 0.4 * np.sin(2 * np.pi * 2.3 * time))
    both = np.stack([wave * (0.9 - 0.02 * c) for c in range(channels)], axis=1)
    return (0.2 * both).astype(np.float32)


@pytest.fixture(scope="session")
def voice() -> Callable[..., np.ndarray]:
    return make_voice


def encode_with_av(
    path: Path,
    container: str,
    code: str,
    wave: np.ndarray,
    rate: int,
    options: dict[str, str] | None = None,
    video_seconds: float = 0.0,
    bit_rate: int | None = 96_000,
) -> Path:
    """Write (samples, channels) through FFmpeg's encoders, beside a moving picture if asked. No samples: no sound."""
    import av

    layout = {1: "mono", 2: "stereo", 6: "5.1"}[wave.shape[1] if wave.ndim == 2 else 1]
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        picture = None
        if video_seconds:
            picture = out.add_stream("mpeg4", rate=10)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = None
        if len(wave):
            sound = out.add_stream(code, rate=rate, layout=layout)
            if bit_rate:
                sound.bit_rate = bit_rate
            sound.codec_context.open()
            wanted = sound.codec_context.format.name
            size = sound.codec_context.frame_size or 1024
            convert = av.AudioResampler(format=wanted, layout=layout, rate=rate)
            for at in range(0, len(wave), size):
                piece = wave[at : at + size]
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece.reshape(1, -1)), "flt", layout)
                frame.rate, frame.pts = rate, at
                for ready in convert.resample(frame):
                    ready.pts = at
                    out.mux(sound.encode(ready))
            out.mux(sound.encode(None))
        for number in range(round(video_seconds * 10) if picture is not None else 0):
            shade = np.full((48, 64, 3), number % 256, np.uint8)
            still = av.VideoFrame.from_ndarray(shade, format="rgb24")
            out.mux(picture.encode(still))
        if picture is not None:
            out.mux(picture.encode(None))
    return path


@pytest.fixture(scope="session")
def encode() -> Encode:
    return encode_with_av


def lag_and_likeness(heard: np.ndarray, meant: np.ndarray, reach: int = 4000) -> tuple[int, float]:
    """By how many samples `heard` comes late, and how alike the two are once that is undone (1: the same shape)."""
    size = min(len(heard), len(meant))
    a, b = heard[:size].astype(np.float64), meant[:size].astype(np.float64)
    width = 1 << (2 * size).bit_length()
    cross = np.fft.irfft(np.fft.rfft(a, width) * np.conj(np.fft.rfft(b, width)), width)
    lags = np.concatenate([np.arange(0, reach), np.arange(-reach, 0)])
    lag = int(lags[np.argmax(cross[lags])])
    a, b = (a[lag:], b[: size - lag]) if lag >= 0 else (a[: size + lag], b[-lag:])
    return lag, float((a @ b) / np.sqrt((a @ a) * (b @ b)))


@pytest.fixture(scope="session")
def compare() -> Callable[..., Any]:
    return lag_and_likeness
