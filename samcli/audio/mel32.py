"""Log-mel frames of 32 kHz sound, as EfficientAT's taggers hear it, at an even level.

Pre-emphasis, a Hann window of 25 ms every 10 ms, 1,024 points, 128 triangles on Kaldi's mel scale up to 15 kHz. A
frame is centred on its place, with silence beyond the ends of the window that is heard. Before the logarithm the
window is brought to one level, so that a quiet recording is heard like a loud one; what is nearly silent stays so.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.audio.fbank import banded

SAMPLE_RATE = 32_000
HOP = 320  # 10 ms
WINDOW, FFT = 800, 1024
MELS = 128
CACHED_FRAMES = 200  # whose spectra a processor's cache holds: three times as fast as a window's at once
HIGH_HZ = 15_000.0
PREEMPHASIS = 0.97
FLOOR = 1e-5  # added to the power of each band
LEAST = 1e-10  # the same where sounds are still to be mixed and brought to level
LEVEL_DB = 7.0  # of a window's loudest frame: the mean power of its bands
MOST_GAIN_DB = 40.0
CENTRE, SCALE = -4.5, 5.0  # what the network reads is (log - CENTRE) / SCALE


def frame_counts(samples: Tensor) -> Tensor:
    """Frames of so many samples: one for each started 10 ms."""
    return (samples + HOP - 1) // HOP


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """The window (WINDOW,) and the triangles (bins, MELS)."""
    window = torch.hann_window(WINDOW, periodic=False, dtype=torch.float64)
    points = torch.linspace(0.0, 1127.0 * math.log1p(HIGH_HZ / 700.0), MELS + 2, dtype=torch.float64)
    left, centre, right = points[:-2], points[1:-1], points[2:]
    bins = 1127.0 * torch.log1p(torch.arange(FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / FFT / 700.0)[:, None]
    triangles = torch.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clamp_(min=0.0)
    return window.float().to(device), triangles.float().to(device)


def triangles() -> Tensor:
    """How much each frequency counts in each band, (bins, MELS)."""
    return _tables(torch.device("cpu"))[1]


def _spectrum(frames: Tensor, window: Tensor) -> Tensor:
    """Power of each frequency, (..., bins)."""
    parts = torch.view_as_real(torch.fft.rfft(frames * window, FFT)).square_()
    return parts[..., 0] + parts[..., 1]


def mel_power(waves: Tensor, lengths: Tensor) -> Tensor:
    """Band powers (batch, frames, MELS) of waves (batch, samples); zero behind each row's last frame."""
    window, triangles = _tables(waves.device)
    count = int(frame_counts(lengths).max())  # lengths on the processor spare a card the waiting
    lengths = lengths.to(waves.device)
    emphasised = waves[:, 1:] - PREEMPHASIS * waves[:, :-1]
    inside = torch.arange(emphasised.shape[1], device=waves.device) < lengths[:, None] - 1
    emphasised = emphasised * inside  # the step from a row's end to its padding is no sound
    before = WINDOW // 2
    padded = F.pad(emphasised, (before, max(0, (count - 1) * HOP + WINDOW - before - emphasised.shape[1])))
    frames = padded.unfold(1, WINDOW, HOP)[:, :count]  # (batch, frames, WINDOW), a view
    if waves.device.type == "cpu":
        power = waves.new_empty(len(waves), count, MELS)
        for row, bands in zip(frames, power, strict=True):
            for part, into in zip(row.split(CACHED_FRAMES), bands.split(CACHED_FRAMES), strict=True):
                torch.matmul(_spectrum(part, window), triangles, out=into)
    else:
        power = banded(_spectrum(frames, window), triangles)
    valid = torch.arange(count, device=waves.device) < frame_counts(lengths)[:, None]
    return power * valid[..., None]


def levelled(power: Tensor) -> Tensor:
    """Each window's band powers (batch, frames, MELS), its loudest frame at LEVEL_DB."""
    loudest = power.mean(-1).amax(1).clamp(min=1e-10)
    gain_db = (LEVEL_DB - 10.0 * loudest.log10()).clamp(max=MOST_GAIN_DB)
    return power * (10.0 ** (gain_db / 10.0))[:, None, None]


def normalised(power: Tensor) -> Tensor:
    """Band powers as the network reads them."""
    return ((power + FLOOR).log_() - CENTRE) / SCALE
