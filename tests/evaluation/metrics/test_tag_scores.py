"""Scores of tags and rankings: equal to scikit-learn, and right by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from samcli.evaluation.metrics.rankings import average_precisions, ranked_by, recall_hits
from samcli.evaluation.metrics.tag_scores import auc, by_class, d_prime, top_hits
from samcli.training.precision import average_precision


@pytest.mark.parametrize("ties", [False, True])
def test_as_scikit_learn(ties: bool) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    chance = np.random.default_rng(3)
    for _ in range(20):
        truth = chance.random(40) < 0.3
        truth[:2] = True, False
        scores = chance.random(40) + 0.3 * truth
        if ties:
            scores = np.round(scores * 4) / 4
        scores = scores.astype(np.float32)
        assert average_precision(truth, scores) == pytest.approx(metrics.average_precision_score(truth, scores))
        assert auc(truth, scores) == pytest.approx(metrics.roc_auc_score(truth, scores))


def test_classes_that_cannot_be_ranked_are_left_out() -> None:
    truth = np.array([[True, False, True], [False, False, True]])
    scores = np.array([[0.9, 0.1, 0.2], [0.1, 0.2, 0.3]])
    found = by_class(["dog", "cat", "rain"], truth, scores)
    assert [(one.label, one.positives, one.average_precision, one.auc) for one in found] == [("dog", 1, 1.0, 1.0)]


def test_d_prime() -> None:
    assert d_prime(0.5) == pytest.approx(0.0)
    assert d_prime(0.975) == pytest.approx(math.sqrt(2) * 1.959964, abs=1e-5)
    assert d_prime(0.2) == pytest.approx(-d_prime(0.8))
    assert math.isfinite(d_prime(1.0))


def test_top_hits() -> None:
    truth = np.array([[True, False], [True, False], [True, False]])
    assert top_hits(truth, np.array([[0.9, 0.1], [0.1, 0.9], [0.0, 0.0]])).tolist() == [True, False, False]


def test_retrieval_by_hand() -> None:
    relevant = [frozenset({"a"}), frozenset({"b", "c"})]
    ranked = ranked_by(np.array([[0.1, 0.9, 0.5], [0.2, 0.3, 0.9]]), ["a", "b", "c"])
    assert ranked == [["b", "c", "a"], ["c", "b", "a"]]
    assert recall_hits(relevant, ranked, 1).tolist() == [False, True]
    assert recall_hits(relevant, ranked, 5).tolist() == [True, True]
    assert average_precisions(relevant, ranked).tolist() == pytest.approx([1 / 3, 1.0])
    assert average_precisions(relevant, ranked, cut=2).tolist() == pytest.approx([0.0, 1.0])
