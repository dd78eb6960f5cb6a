"""Filter banks: parity with an independent implementation, and streaming equal to one pass."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.audio.fbank import BLOCK_FRAMES, FRAME, HOP, MELS, FilterBank, frame_count, log_mel

RATE = 16_000


def noise(samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(samples) * level).astype(np.float32)


def by_kaldi(wave: np.ndarray) -> np.ndarray:
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "hanning"
    options.frame_opts.frame_length_ms = 25.0
    options.frame_opts.frame_shift_ms = 10.0
    options.frame_opts.snip_edges = True
    options.frame_opts.preemph_coeff = 0.97
    options.frame_opts.remove_dc_offset = True
    options.mel_opts.num_bins = 128
    options.mel_opts.low_freq = 20.0
    options.mel_opts.high_freq = 8000.0
    options.use_energy = False
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(RATE, wave.tolist())
    bank.input_finished()
    rows = [bank.get_frame(i) for i in range(bank.num_frames_ready)]
    return np.stack(rows) if rows else np.zeros((0, 128), np.float32)


def by_the_book(wave: np.ndarray) -> np.ndarray:
    """Kaldi's definition, one frame at a time in float64, sharing nothing with the module under test."""

    def mel(hertz: float) -> float:
        return 1127.0 * np.log(1.0 + hertz / 700.0)

    points = np.linspace(mel(20.0), mel(8000.0), 130)
    rows = []
    for start in range(0, len(wave) - 399, 160):
        frame = wave[start : start + 400].astype(np.float64)
        frame -= frame.mean()
        frame = np.concatenate([[0.03 * frame[0]], frame[1:] - 0.97 * frame[:-1]])
        power = np.abs(np.fft.rfft(frame * np.hanning(400), 512)) ** 2
        row = np.zeros(128)
        for k in range(256):
            at = mel(k * RATE / 512)
            rise = (at - points[:-2]) / (points[1:-1] - points[:-2])
            fall = (points[2:] - at) / (points[2:] - points[1:-1])
            row += power[k] * np.clip(np.minimum(rise, fall), 0, None)
        rows.append(np.log(np.maximum(row, np.finfo(np.float32).eps)))
    return np.stack(rows)


def waves() -> dict[str, np.ndarray]:
    time = np.arange(RATE * 2) / RATE
    clicks = np.zeros(RATE * 2)
    clicks[:: RATE // 7] = 0.9
    harmonics = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 40))
    voiced = 0.1 * harmonics * (1 + np.sin(2 * np.pi * 3 * time))
    return {
        "noise": noise(RATE * 2),
        "loud": np.clip(noise(RATE * 2, 1, 0.8), -1, 1),
        "quiet": noise(RATE * 2, 2, 1e-4),
        "offset": noise(RATE * 2, 3) + np.float32(0.5),
        "clicks over a noise floor": clicks.astype(np.float32) + noise(RATE * 2, 5, 1e-3),
        "voiced over a noise floor": voiced.astype(np.float32) + noise(RATE * 2, 6, 1e-3),
        "silence": np.zeros(RATE, np.float32),
        "one frame": noise(FRAME, 7),
        "one hop too short": noise(FRAME + HOP - 1, 8),
        "more than a block": noise(FRAME + HOP * (BLOCK_FRAMES + 3), 9),
    }


@pytest.mark.parametrize("name", list(waves()))
def test_parity_with_kaldi(name: str) -> None:
    wave = waves()[name]
    theirs = by_kaldi(wave)
    ours = log_mel(torch.from_numpy(wave).unsqueeze(0))[0].numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-3


@pytest.mark.parametrize("name", list(waves()))
def test_parity_with_the_definition(name: str) -> None:
    wave = waves()[name][: RATE // 2]
    ours = log_mel(torch.from_numpy(wave).unsqueeze(0))[0].numpy()
    assert np.abs(ours - by_the_book(wave)).max() < 1e-3


def test_a_loud_sweep_agrees_as_far_as_float32_reaches() -> None:
    """100 dB below a full-scale tone both implementations hold rounding alone, so the bound there is on the energy."""
    time = np.arange(RATE * 2) / RATE
    wave = (0.9 * np.sin(2 * np.pi * (50 * time + 1900 * time**2))).astype(np.float32) + noise(RATE * 2, 4, 1e-4)
    ours, theirs = log_mel(torch.from_numpy(wave).unsqueeze(0))[0].numpy(), by_kaldi(wave)
    peak = theirs.max(axis=1, keepdims=True)
    audible = theirs > peak - 14.0  # natural log of energy: 60 dB
    assert np.abs(ours - theirs)[audible].max() < 1e-3
    assert (np.abs(np.exp(ours) - np.exp(theirs)) / np.exp(peak)).max() < 1e-3


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 559, 560, 16_000])
def test_frame_count(samples: int) -> None:
    frames = log_mel(torch.zeros(2, samples))
    assert frames.shape == (2, frame_count(samples), MELS)
    assert frame_count(samples) == max(0, 1 + (samples - 400) // 160)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 9000), max_size=12), samples=st.integers(0, 9000))
def test_any_cutting_equals_one_pass(cuts: list[int], samples: int) -> None:
    wave = torch.from_numpy(noise(samples, samples))
    bank = FilterBank()
    edges = [0, *sorted(min(cut, samples) for cut in cuts), samples]
    parts = [bank.push(wave[a:b]) for a, b in itertools.pairwise(edges)]
    assert bank.pending.numel() < max(FRAME, HOP)
    torch.testing.assert_close(torch.cat(parts), log_mel(wave.unsqueeze(0))[0], atol=1e-4, rtol=0)


def test_rows_do_not_know_their_neighbours() -> None:
    together = torch.from_numpy(noise(5 * RATE * 12, 3)).reshape(5, -1)
    batched = log_mel(together)
    for row in range(5):
        torch.testing.assert_close(batched[row], log_mel(together[row : row + 1])[0], atol=1e-4, rtol=0)


def test_what_follows_a_frame_does_not_change_it() -> None:
    wave = torch.from_numpy(noise(RATE, 5)).unsqueeze(0)
    short = log_mel(wave[:, :8000])
    torch.testing.assert_close(log_mel(wave)[:, : short.shape[1]], short, atol=1e-4, rtol=0)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="batch, samples"):
        log_mel(torch.zeros(400))
    with pytest.raises(ValueError, match="samples"):
        FilterBank().push(torch.zeros(1, 400))
