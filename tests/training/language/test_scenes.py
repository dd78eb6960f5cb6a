"""Scenes: what is refused, and what follows from a script."""

from __future__ import annotations

import math

import pytest

from samcli.training.language.scenes import Event, Scene, clearly_before, overlap, together
from samcli.training.language.sounds import find_kind

DOG, RAIN, KNOCK = find_kind("dog"), find_kind("rain"), find_kind("knock")


@pytest.mark.parametrize(
    ("start", "end", "level", "repeats"),
    [(-1, 2, -20, 1), (2, 2, -20, 1), (3, 2, -20, 1), (0, math.inf, -20, 1), (0, 1, math.nan, 1), (0, 1, -20, 0)],
)
def test_impossible_events_are_refused(start: float, end: float, level: float, repeats: int) -> None:
    with pytest.raises(ValueError):
        Event(DOG, start, end, level, repeats)


def test_impossible_scenes_are_refused() -> None:
    with pytest.raises(ValueError, match="after the scene"):
        Scene(5.0, (Event(DOG, 1, 7, -20),))
    with pytest.raises(ValueError, match="longer than 0"):
        Scene(0.0)
    with pytest.raises(ValueError, match="not one of the places"):
        Scene(5.0, place="moon")
    with pytest.raises(ValueError, match="not one of the qualities"):
        Scene(5.0, quality="golden")


def test_what_follows_from_a_scene() -> None:
    late, early = Event(KNOCK, 6, 7, -20, 3), Event(DOG, 1, 3, -30, 2)
    scene = Scene(10.0, (late, early), background=RAIN)
    assert scene.order == (early, late)
    assert scene.loudest is late
    assert scene.kinds == (DOG, KNOCK, RAIN)
    assert (scene.count(KNOCK), scene.count(DOG), scene.count(RAIN)) == (3, 2, None)
    assert scene.lead(early) == 0.0  # the rain is heard
    alone = Scene(10.0, (early,))
    assert (alone.lead(early), alone.tail(early)) == (1.0, 7.0)
    assert Scene(10.0, (early, Event(DOG, 4, 5, -30))).count(DOG) is None
    assert Scene(10.0).silent and not alone.silent


def test_before_and_together_exclude_each_other() -> None:
    spans = [(start / 2, (start + length) / 2) for start in range(12) for length in range(1, 8)]
    for one in spans:
        for other in spans:
            first, second = Event(DOG, *one, -20), Event(KNOCK, *other, -20)
            assert not (clearly_before(first, second) and clearly_before(second, first))
            assert not (clearly_before(first, second) and together(first, second))
            assert together(first, second) == together(second, first)
            assert overlap(first, second) == overlap(second, first) <= min(first.duration, second.duration)
