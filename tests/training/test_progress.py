"""The time left: told by the usual step, not by the first, nor by what is judged in between."""

from __future__ import annotations

from samcli.training.progress import FEWEST, TimeLeft


def test_a_slow_first_step_does_not_count() -> None:
    clock, now = TimeLeft(), 0.0
    clock.step(now)
    told = []
    for step in range(1, 21):
        now += 10.0 if step == 1 else 1.0
        clock.step(now)
        told.append(clock.left(20 - step))
    assert told[:FEWEST] == [None] * FEWEST
    assert told[FEWEST:] == [float(20 - step) for step in range(FEWEST + 1, 21)]


def test_judgements_take_their_own_time() -> None:
    clock = TimeLeft()
    clock.judged(30.0, now=100.0)  # before the first step, which nothing is counted from
    for now in (200.0, 205.0, 206.0, 207.0, 208.0):
        clock.step(now)
    clock.judged(40.0, now=248.0)
    clock.step(249.0)
    assert clock.each == 1.0
    assert clock.left(10, 2) == 10 * 1.0 + 2 * 40.0


def test_it_follows_the_machine() -> None:
    clock, now = TimeLeft(), 0.0
    for step in range(200):
        now += 1.0 if step < 100 else 3.0
        clock.step(now)
    assert clock.left(10) == 30.0
