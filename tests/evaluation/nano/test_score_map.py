"""Scores become probabilities: the map is found again, keeps the order, and lies in the weights afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samcli.errors import ModelError
from samcli.evaluation.nano.held_back import LogitMap, fit_map, fold
from samcli.evaluation.nano.left_out import calibration_error
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.models.encoders.nano import NanoConfig, NanoEncoder
from samcli.ssm.bidirectional import BidirectionalConfig

CLIPS, LABELS = 600, 40


def skewed(seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Logits that are too narrow and too high, of the first labels too low; what is true; whose clips they are."""
    chance = np.random.default_rng(seed)
    true = chance.normal(-3, 2, (CLIPS, LABELS))
    truth = chance.random(true.shape) < 1 / (1 + np.exp(-true))
    own = np.where(np.arange(LABELS) < 5, 1.5, 0.0)
    return ((true + 0.7 - own) / 1.6).astype(np.float32), truth, [f"source {i % 20}" for i in range(CLIPS)]


def scores(logits: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def test_a_map_makes_scores_probabilities() -> None:
    logits, truth, sources = skewed()
    found = fit_map(logits, truth, sources)
    assert found.scale == pytest.approx(1.6, abs=0.1)
    assert np.mean(found.shifts[5:]) == pytest.approx(-0.7, abs=0.15)
    assert np.mean(found.shifts[:5]) == pytest.approx(0.8, abs=0.25)
    others, right, _ = skewed(seed=1)  # heard by nobody who chose
    assert calibration_error(scores(others), right) > 0.05
    assert calibration_error(scores(found(others)), right) < 0.015
    assert (np.argsort(found(others), axis=0) == np.argsort(others, axis=0)).all()


def test_a_label_with_few_clips_goes_with_the_others() -> None:
    logits, truth, sources = skewed()
    truth[:, 0] = False  # by chance, none of it is there
    logits[:, 0] = -3
    found = fit_map(logits[:40], truth[:40], sources[:40])
    assert abs(found.shifts[0] - np.median(found.shifts)) < 2, "and not as far as no clip at all would take it"
    assert np.isfinite(found.shifts).all() and found.scale > 0


def test_one_source_is_enough_to_fit() -> None:
    logits, truth, _ = skewed()
    assert fit_map(logits, truth, ["the only one"] * CLIPS).scale == pytest.approx(1.6, abs=0.15)


def test_a_folded_map_is_the_map() -> None:
    torch.manual_seed(0)
    config = NanoConfig(
        trunk="tiny", hidden=16, layers=1, mixer=BidirectionalConfig(d_model=16, d_state=8, head_dim=8), classes=7
    )
    encoder = NanoEncoder(config).eval()
    torch.nn.init.normal_(encoder.gain)
    torch.nn.init.normal_(encoder.window_head.bias)
    mel = torch.randn(3, 90, 128)
    shifts = tuple(np.linspace(-1, 2, 7).tolist())
    with torch.no_grad():
        before = encoder(mel)
        fold(encoder, 1.7, shifts)
        after = encoder(mel)
    wanted = LogitMap(1.7, shifts)(before.clip_logits.numpy())
    assert np.allclose(after.clip_logits.numpy(), wanted, atol=1e-4)
    assert torch.equal(before.features, after.features)
    assert not torch.equal(before.step_logits, after.step_logits), "moments are judged in the light of their window"
    with pytest.raises(ModelError, match="of 3 labels"):
        fold(encoder, 1.0, (0.0, 0.0, 0.0))
    with pytest.raises(ModelError, match="sam-nano's kind"):
        fold(Dass(DassConfig(widths=(4, 8), depths=(1, 1), classes=3)), 1.0, (0.0, 0.0, 0.0))
