"""The 32 kHz front end: beside torch's own spectrogram, and the same whatever the level, the batch and the padding."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from samcli.audio.front_end import EVEN_32K
from samcli.audio.mel32 import (
    FFT,
    HIGH_HZ,
    HOP,
    LEVEL_DB,
    MELS,
    SAMPLE_RATE,
    WINDOW,
    frame_counts,
    levelled,
    mel_power,
)


def sound(samples: int, seed: int = 0) -> Tensor:
    time = torch.arange(samples) / SAMPLE_RATE
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    return 0.2 * torch.sin(2 * math.pi * 700 * time * (1 + 0.3 * time)) + 0.02 * noise


def by_torch(wave: Tensor) -> Tensor:
    """Band powers (frames, MELS) from torch.stft and triangles drawn one by one."""
    emphasised = wave[1:] - 0.97 * wave[:-1]
    window = torch.hann_window(WINDOW, periodic=False)
    spectrum = torch.stft(emphasised, FFT, HOP, WINDOW, window, pad_mode="constant", return_complex=True).abs() ** 2

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    edges = [mel(HIGH_HZ) * place / (MELS + 1) for place in range(MELS + 2)]
    bank = torch.zeros(MELS, FFT // 2 + 1)
    for band in range(MELS):
        for bin_ in range(FFT // 2):
            at = mel(bin_ * SAMPLE_RATE / FFT)
            rise = (at - edges[band]) / (edges[band + 1] - edges[band])
            fall = (edges[band + 2] - at) / (edges[band + 2] - edges[band + 1])
            bank[band, bin_] = max(0.0, min(rise, fall))
    return (bank @ spectrum).T


def test_it_equals_torchs_spectrogram() -> None:
    wave = sound(30_000)
    ours = mel_power(wave[None], torch.tensor([30_000]))[0]
    theirs = by_torch(wave)[: len(ours)]
    assert len(ours) == 94
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 2, 319, 320, 321, 799, 12_345])
def test_neighbours_and_padding_change_nothing(samples: int) -> None:
    wave = sound(samples)
    alone, count = EVEN_32K.features(wave[None], torch.tensor([samples]))
    batch = torch.zeros(2, 20_000)
    batch[0, :samples], batch[1] = wave, sound(20_000, seed=1)
    together, counts = EVEN_32K.features(batch, torch.tensor([samples, 20_000]))
    assert int(count[0]) == int(counts[0]) == alone.shape[1] == int(frame_counts(torch.tensor(samples)))
    assert torch.allclose(together[0, : alone.shape[1]], alone[0], atol=1e-5)


def test_a_quiet_recording_is_heard_like_a_loud_one() -> None:
    wave = sound(32_000)
    loud, _ = EVEN_32K.features(wave[None], torch.tensor([32_000]))
    quiet, _ = EVEN_32K.features(wave[None] * 0.03, torch.tensor([32_000]))
    assert torch.allclose(loud, quiet, atol=1e-3)


def test_near_silence_is_not_blown_up() -> None:
    hiss = torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0)) * 1e-6
    power = levelled(mel_power(hiss, torch.tensor([32_000])))
    assert 10 * math.log10(float(power.mean(-1).max())) < LEVEL_DB - 20
