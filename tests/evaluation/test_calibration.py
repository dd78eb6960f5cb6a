"""Thresholds: against every one there is, for rare labels, and what they are worth on other sources."""

from __future__ import annotations

import numpy as np
import pytest

from samcli.evaluation.calibration import COMMON, GRID, best_thresholds, folds_of, judged
from samcli.evaluation.figures import interval_over
from samcli.evaluation.nano.left_out import calibration_error


def f1_at(scores: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    called = np.round(scores, 4) >= threshold - 1e-9
    return 2 * float((called & truth).sum()) / float(called.sum() + truth.sum())


def drawn(labels: int, clips: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    truth = chance.random((clips, labels)) < 0.2
    where = np.linspace(0.25, 0.75, labels)
    scores = where + np.where(truth, 0.12, -0.12) + chance.normal(0, 0.1, truth.shape)
    return scores.clip(0, 1).astype(np.float32), truth


def test_none_is_better_than_the_best() -> None:
    scores, truth = drawn(4)
    found = best_thresholds(scores, truth, usual=0.0)
    for label, threshold in enumerate(found.labels):
        best = max(f1_at(scores[:, label], truth[:, label], one) for one in GRID)
        assert f1_at(scores[:, label], truth[:, label], threshold) == pytest.approx(best)
    assert np.all(np.diff(found.labels) > 0), "each where its own scores lie"


def test_a_gap_is_parted_in_its_middle() -> None:
    scores = np.array([0.1, 0.2, 0.7, 0.8], np.float32)[:, None]
    truth = np.array([False, False, True, True])[:, None]
    assert best_thresholds(scores, truth).labels == (0.45,)


def test_what_is_rare_leans_on_the_others() -> None:
    chance = np.random.default_rng(0)
    truth = chance.random((400, 6)) < 0.2
    truth[:, 4:] = False
    truth[7, 4] = True
    scores = (0.5 + np.where(truth, 0.12, -0.12) + chance.normal(0, 0.1, truth.shape)).clip(0, 1).astype(np.float32)
    scores[7, 4] = 0.97  # its one clip is a very plain one
    found, alone = best_thresholds(scores, truth), best_thresholds(scores, truth, usual=0.0)
    assert found.labels[5] == found.common, "with no clip at all it takes the common one"
    assert alone.labels[4] > found.common + 0.2
    assert abs(found.labels[4] - found.common) < 0.15, "one clip does not say much"
    for label in range(4):
        assert abs(found.labels[label] - alone.labels[label]) < 0.1, "eighty do"
    nothing = best_thresholds(scores, np.zeros_like(truth))
    assert set(nothing.labels) == {nothing.common} == {COMMON}


def test_verdicts_are_of_thresholds_that_others_chose() -> None:
    scores, truth = drawn(3, clips=600)
    sources = [f"source {clip // 20}" for clip in range(600)]
    verdicts = judged(scores, truth, sources)
    best = best_thresholds(scores, truth)
    for label, verdict in enumerate(verdicts):
        assert verdict.recordings == int(truth[:, label].sum()) and verdict.sources == 30
        assert verdict.f1 and verdict.precision and verdict.recall
        for value, low, high in (verdict.f1, verdict.precision, verdict.recall):
            assert 0 <= low <= value <= high <= 1 and high - low < 0.2
        assert verdict.f1[0] <= f1_at(scores[:, label], truth[:, label], best.labels[label]) + 1e-9
    wider = judged(scores[:100], truth[:100], sources[:100])
    assert wider[0].f1 and verdicts[0].f1 and wider[0].f1[2] - wider[0].f1[1] > verdicts[0].f1[2] - verdicts[0].f1[1]


def test_what_cannot_be_judged_has_no_figures() -> None:
    scores, truth = drawn(2, clips=30)
    truth[:, 1] = False
    scores[:, 1] = 0.0
    (_, nothing) = judged(scores, truth, ["one"] * 30)
    assert (nothing.recordings, nothing.precision, nothing.recall, nothing.f1) == (0, None, None, None)


def test_the_error_is_the_gap_between_score_and_share() -> None:
    scores = np.array([[0.81] * 10, [0.03] * 10], np.float32).T
    truth = np.zeros((10, 2), bool)
    truth[:6, 0] = True
    assert calibration_error(scores, truth) == pytest.approx(0.21, abs=1e-6), "what is below 0.05 is no tag"
    truth[:8, 0] = True
    assert calibration_error(scores, truth) == pytest.approx(0.01, abs=1e-6)
    assert np.isnan(calibration_error(scores * 0, truth))
    assert calibration_error(np.ones((3, 1), np.float32), np.ones((3, 1), bool)) == 0.0


def test_an_interval_over_sources_is_wider_than_over_their_clips() -> None:
    hits = np.repeat([1.0, 0.0, 1.0, 1.0], 50)
    sources = np.repeat(["a", "b", "c", "d"], 50).tolist()
    low, high = interval_over(lambda rows: float(hits[rows].mean()), sources)
    assert low <= 0.26 and high == 1.0
    low, high = interval_over(lambda rows: float(hits[rows].mean()), [str(clip) for clip in range(200)])
    assert 0.65 < low < high < 0.85


def test_folds_keep_sources_whole() -> None:
    sources = ["a"] * 9 + ["b"] * 4 + ["c"] * 4 + ["d"]
    folds = folds_of(sources, 3)
    assert len(set(folds)) == 3
    assert all(
        len({int(fold) for fold, one in zip(folds, sources, strict=True) if one == name}) == 1 for name in "abcd"
    )
    assert sorted(np.bincount(folds).tolist()) == [4, 5, 9]
