"""Kaldi-compatible log-mel filter banks, in one pass or in a stream.

What models were trained on is Kaldi's definition, so every choice here is Kaldi's: frames only where 25 ms of sound
exist (`snip_edges`), the mean of each frame removed, pre-emphasis, a Hann window, the power spectrum of 512 points,
triangles on the mel scale, the natural log with float32's epsilon as floor. Waves are in [-1, 1]; nothing is dithered,
nothing is scaled. Memory beyond the answer does not grow with the length of the wave.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from samcli.audio.waves import SAMPLE_RATE as SAMPLE_RATE  # models take it from here, beside the frames

FRAME = 400  # 25 ms
HOP = 160  # 10 ms: 100 frames per second
MELS = 128
FFT = 512  # the power of two above FRAME
LOW_HZ, HIGH_HZ = 20.0, SAMPLE_RATE / 2
PREEMPHASIS = 0.97
FLOOR = torch.finfo(torch.float32).eps  # log(FLOOR) = -15.94 is what digital silence gives
PARTS = 4  # of the bands: most bins are far from most triangles
BLOCK_FRAMES = 1024  # 10 s at a time: the spectra of one block stay in the processor's cache

Triangles = list[tuple[slice, Tensor]]


def frame_count(samples: int) -> int:
    """Frames that `samples` samples give."""
    return 0 if samples < FRAME else 1 + (samples - FRAME) // HOP


def mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz / 700.0)


@lru_cache(maxsize=8)
def _tables(device: torch.device) -> tuple[Tensor, Triangles]:
    """The window (FRAME,) and the mel triangles, computed in float64."""
    steps = torch.arange(FRAME, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2.0 * math.pi * steps / (FRAME - 1))
    edges = mel(torch.tensor([LOW_HZ, HIGH_HZ], dtype=torch.float64))
    points = torch.linspace(float(edges[0]), float(edges[1]), MELS + 2, dtype=torch.float64)
    left, centre, right = points[:-2], points[1:-1], points[2:]
    bins = mel(torch.arange(FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / FFT).unsqueeze(1)
    triangles = torch.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clamp_(min=0.0)
    triangles[-1] = 0.0  # Kaldi leaves the Nyquist bin out
    parts = [_part(some.float()) for some in torch.split(triangles, MELS // PARTS, dim=1)]
    return window.float().to(device), [(bins, part.to(device)) for bins, part in parts]


def _part(triangles: Tensor) -> tuple[slice, Tensor]:
    """The bins that some triangles (bins, bands) reach, and the triangles over these."""
    reached = triangles.amax(1).nonzero()[:, 0].tolist()
    bins = slice(reached[0], reached[-1] + 1)
    return bins, triangles[bins].contiguous()


def _block(wave: Tensor, window: Tensor, triangles: Triangles, frames: Tensor) -> Tensor:
    """Frames of a stretch that holds them exactly: (batch, FRAME + (n - 1) * HOP) -> (batch, n, MELS).

    `frames` (batch, n, FFT) is scratch space whose columns from FRAME on are zero. Every frame is computed from its
    own samples alone: where a stretch was cut, or who shares the batch, leaves no trace beyond the last matmul.
    """
    raw = wave.unfold(-1, FRAME, HOP)  # (batch, n, FRAME), a view
    centred = raw - raw.mean(-1, keepdim=True)
    # Kaldi's pre-emphasis has a rule of its own for a frame's first sample, which the window then multiplies by zero.
    torch.sub(centred[..., 1:], centred[..., :-1], alpha=PREEMPHASIS, out=frames[..., 1:FRAME])
    frames[..., :FRAME].mul_(window)
    parts = torch.view_as_real(torch.fft.rfft(frames)).square_()  # (batch, n, FFT // 2 + 1, 2)
    power = parts[..., 0] + parts[..., 1]
    mels = torch.cat([banded(power[..., bins], part) for bins, part in triangles], dim=-1)
    return mels.clamp_(min=FLOOR).log_()


def banded(power: Tensor, triangles: Tensor) -> Tensor:
    """Spectra (..., bins) times triangles (bins, bands). A card must not round them to TF32: a logarithm shows it."""
    return (power.double() @ triangles.double()).float() if power.is_cuda else power @ triangles


@torch.no_grad()
def log_mel(waves: Tensor) -> Tensor:
    """Log-mel frames of whole waves at 16 kHz: (batch, samples) -> (batch, frame_count(samples), MELS), float32."""
    if waves.dim() != 2:
        raise ValueError(f"log_mel takes (batch, samples), not a tensor of shape {tuple(waves.shape)}")
    waves = waves.detach().to(torch.float32)
    batch, samples = waves.shape
    total = frame_count(samples)
    out = waves.new_empty(batch, total, MELS)
    if batch == 0:
        return out
    window, triangles = _tables(waves.device)
    step = max(1, BLOCK_FRAMES // batch) if waves.device.type == "cpu" else BLOCK_FRAMES
    scratch = waves.new_zeros(batch, min(step, total), FFT)
    for start in range(0, total, step):
        stop = min(start + step, total)
        stretch = waves[:, start * HOP : (stop - 1) * HOP + FRAME]
        out[:, start:stop] = _block(stretch, window, triangles, scratch[:, : stop - start])
    return out


class FilterBank:
    """The same frames from a stream: push blocks of any size, collect the frames each one completes.

    `pending` holds the few samples that the next frame still needs, never more than one frame.
    """

    def __init__(self) -> None:
        self.pending = torch.zeros(0)

    def push(self, block: Tensor) -> Tensor:
        """(samples,) -> (new frames, MELS), often zero of them."""
        if block.dim() != 1:
            raise ValueError(f"FilterBank.push takes (samples,), not a tensor of shape {tuple(block.shape)}")
        wave = torch.cat([self.pending.to(block.device), block.to(torch.float32)])
        frames = log_mel(wave.unsqueeze(0)).squeeze(0)
        self.pending = wave[frames.shape[0] * HOP :].clone()
        return frames
