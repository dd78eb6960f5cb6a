"""Intervals that cover, tables that say what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from samcli.evaluation.figures import HEADER, Figure, interval, markdown, mean_interval, rows, share


def test_interval_of_a_share() -> None:
    hits = np.array([1.0] * 80 + [0.0] * 20)
    low, high = mean_interval(hits)
    # The normal approximation of a share of 0.8 in 100: 0.8 +- 1.96 * sqrt(0.8 * 0.2 / 100).
    assert low == pytest.approx(0.8 - 0.0784, abs=0.02)
    assert high == pytest.approx(0.8 + 0.0784, abs=0.02)
    assert mean_interval(hits) == (low, high)


def test_intervals_cover_the_truth() -> None:
    """Of many experiments about 95 in 100 hold the true share."""
    chance = np.random.default_rng(1)
    covered = []
    for _ in range(60):
        low, high = mean_interval((chance.random(60) < 0.6).astype(float))
        covered.append(low <= 0.6 <= high)
    assert 0.83 < np.mean(covered) <= 1.0


def test_interval_of_a_statistic_is_that_of_its_mean() -> None:
    values = np.random.default_rng(2).random(50)
    assert interval(lambda chosen: float(values[chosen].mean()), 50) == mean_interval(values)
    assert np.isnan(interval(lambda chosen: float("nan"), 5)[0])


def test_share_of_nothing() -> None:
    figure = share("x", "nothing", [], must=0.5)
    assert figure.value is None
    assert figure.reached is None
    assert rows([figure])[0][1] == "-"


def test_marks() -> None:
    assert Figure("a", "a", 0.8, must=0.8).reached is True
    assert Figure("a", "a", 0.79, must=0.8).reached is False
    assert Figure("a", "a", 0.1, must=0.2, lower_is_better=True).reached is True
    assert Figure("a", "a", 0.1).reached is None
    row = rows([Figure("a", "a | b", 0.123, 0.1, 0.2, 7, must=0.2, goal=0.1, lower_is_better=True)])[0]
    assert row == ("a | b", "12.3 %", "10.0 % to 20.0 %", "7", "<= 20 %", "<= 10 %", "reached")
    table = markdown(HEADER, [row]).splitlines()
    assert len(table) == 3
    assert "a \\| b" in table[2]
