"""Event matching: known cases, properties, and agreement with an exhaustive search."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.evaluation.metrics.events import Counts, LabelledEvent, collar_counts, most_pairs, segment_counts

DOG = LabelledEvent("dog", 1.0, 3.0)


def test_collar() -> None:
    assert collar_counts([DOG], [DOG]) == Counts(1, 0, 0)
    assert collar_counts([LabelledEvent("dog", 1.5, 3.5)], [DOG]) == Counts(1, 0, 0)
    assert collar_counts([LabelledEvent("dog", 1.51, 3.0)], [DOG]) == Counts(0, 1, 1)
    assert collar_counts([LabelledEvent("dog", 1.0, 3.9)], [DOG]) == Counts(1, 0, 0)  # within half its length
    assert collar_counts([LabelledEvent("dog", 1.0, 4.1)], [DOG]) == Counts(0, 1, 1)
    assert collar_counts([LabelledEvent("dog", 1.0, 4.1)], [DOG], ends=False) == Counts(1, 0, 0)
    assert collar_counts([LabelledEvent("cat", 1.0, 3.0)], [DOG]) == Counts(0, 1, 1)
    assert collar_counts([DOG, DOG], [DOG]) == Counts(1, 0, 1)  # one event is found once


def test_segments() -> None:
    found = [LabelledEvent("dog", 0.5, 2.0)]
    there = [LabelledEvent("dog", 1.2, 2.9), LabelledEvent("cat", 0.0, 0.1)]
    assert segment_counts(found, there, 4.0) == Counts(1, 2, 1)
    assert segment_counts([], [], 4.0).f1 == 0.0


def test_segments_are_counted_one_by_one_however_events_overlap() -> None:
    chance = np.random.default_rng(3)
    for _ in range(200):
        sides = []
        for _ in range(2):
            starts = chance.integers(-4, 24, chance.integers(0, 6)) / 2
            sides.append(
                [LabelledEvent(str(chance.choice(["a", "b"])), at, at + chance.integers(0, 9) / 2) for at in starts]
            )
        cells = [
            {(e.label, n) for e in side for n in range(math.floor(e.start), math.ceil(min(e.end, 10.0)))}
            for side in sides
        ]
        wanted = Counts(len(cells[0] & cells[1]), len(cells[1] - cells[0]), len(cells[0] - cells[1]))
        assert segment_counts(*sides, 10.0) == wanted


def test_a_time_of_ages_takes_no_memory() -> None:
    ages = [LabelledEvent("Dog", 0.0, 1e15)]
    assert segment_counts(ages, [LabelledEvent("Dog", 0.5, 2.0)], 1e15) == Counts(2, 0, 10**15 - 2)


def test_scores() -> None:
    counts = Counts(2, 1, 3) + Counts(1, 0, 0)
    assert counts == Counts(3, 1, 3)
    assert counts.precision == 0.5
    assert counts.recall == 0.75
    assert counts.f1 == pytest.approx(0.6)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=4))
def test_most_pairs_is_the_most(fits: list[list[int]]) -> None:
    best = 0
    for order in permutations([0, 1, 2, 3, None, None, None, None], len(fits)):  # None: left alone
        best = max(best, sum(right in own for own, right in zip(fits, order, strict=True) if right is not None))
        if best == len(fits):
            break
    assert most_pairs(fits) == best
