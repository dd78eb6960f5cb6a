"""What a second view of a scene changes, and that its targets follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from samcli.audio.mel32 import SAMPLE_RATE, mel_power
from samcli.training.losses import agreement_loss
from samcli.training.nano.batches import NOISE_BELOW_DB, BatchOptions, SceneBatches, noise_below, second_view
from samcli.training.nano.material import Material
from samcli.training.nano.mixer import _SLOPES, BINS, _colours


def burst(frames: int = 400) -> np.ndarray:
    """A sound in the middle of near silence, log power."""
    power = np.full((frames, BINS), 1e-9, np.float32)
    power[100:200, 30:90] = 1.0
    return np.log(power)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_has_the_colour_that_the_front_end_sees(slope: float) -> None:
    """White, pink and brown noise through the real filter bank, against the curves that scenes are mixed with."""
    samples = 10 * SAMPLE_RATE
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(samples))
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 50.0)
    wave = np.fft.irfft(spectrum / hertz ** (slope / 2), samples).astype(np.float32)
    heard = 10 * np.log10(
        mel_power(torch.from_numpy(wave / wave.std())[None], torch.tensor([samples]))[0].mean(0).numpy()
    )
    drawn = _colours()[int(np.abs(_SLOPES - slope).argmin())]
    difference = heard - drawn
    assert np.abs(difference - np.median(difference)).max() < 4


def test_noise_lies_as_far_below_as_asked() -> None:
    power = np.exp(burst())
    for seed in range(5):
        noise = noise_below(power, 10.0, np.random.default_rng(seed))
        ratio = 10 * np.log10(power[100:200].mean() / noise.mean())
        assert ratio == pytest.approx(10.0, abs=0.2)


def test_every_second_view_changes_something_and_keeps_the_sound() -> None:
    mel, changes = burst(), set()
    for seed in range(60):
        view = second_view(mel, np.random.default_rng(seed))
        assert view.mel.shape == mel.shape and np.isfinite(view.mel).all()
        assert not np.array_equal(view.mel, mel)
        first = 100 - 8 * view.later
        sounding = view.mel[first : first + 100, 40:60].mean()
        around = np.delete(view.mel[:, 40:60], np.s_[first : first + 100], 0).mean()
        assert sounding - around > NOISE_BELOW_DB[0] / 10 * np.log(10) / 2
        changes.add((view.later > 0, bool(view.mel[first : first + 100, :6].mean() < mel[:, :6].mean() - 1)))
    assert len(changes) == 4, "later or not, by telephone or not"


def test_both_views_of_a_batch_learn_the_same(material: Material) -> None:
    options = BatchOptions(scenes_at_5_seconds=6, two_views=True)
    batches = SceneBatches(material.corpus, material.store, options)
    for number in range(6):
        batch = batches.batch(number)
        half = len(batch.mel) // 2
        assert batch.two_views and len(batch.mel) == 2 * half
        assert torch.equal(batch.clip_target[:half], batch.clip_target[half:])
        assert torch.equal(batch.name[:half], batch.name[half:])
        assert not torch.equal(batch.mel[:half], batch.mel[half:])
        again = SceneBatches(material.corpus, material.store, options).batch(number)
        assert torch.equal(again.mel, batch.mel) and torch.equal(again.step_target, batch.step_target)
    once = SceneBatches(material.corpus, material.store, replace(options, two_views=False)).batch(0)
    assert not once.two_views and len(once.mel) == 2 * len(SceneBatches.batch(batches, 0).mel) // 2


def test_agreement_moves_the_second_view_alone() -> None:
    logits = torch.tensor([[2.0, -2.0], [0.0, 0.0]], requires_grad=True)
    agreement_loss(logits).backward()
    assert logits.grad is not None
    assert not logits.grad[0].any()
    assert logits.grad[1, 0] < 0 < logits.grad[1, 1]
