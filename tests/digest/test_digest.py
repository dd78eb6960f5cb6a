"""The digest is the same however a recording is cut, joins like time does, and stays small."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest

from samcli.digest.digest import LOWER, Digest, window
from samcli.digest.events import BINS, GAP, KEPT, LEAST
from samcli.digest.names import Rows
from samcli.tasks import timeline
from samcli.tasks.tag import Choice
from samcli.tasks.timeline import EventFinder

STEP = 0.08
LABELS = ("one", "two", "three")


def scores(chance: np.random.Generator, steps: int, busy: float = 0.5) -> np.ndarray:
    """Smooth random courses: runs of every length, some of which touch the edges."""
    raw = np.cumsum(chance.standard_normal((steps, len(LABELS))), axis=0) * 0.12
    return (1 / (1 + np.exp(-(raw - raw.mean(0)) - 4 * (busy - 0.5)))).astype(np.float32)


def rows() -> Rows:
    return Rows.of(LABELS, np.array([0.5, 0.6, 0.7], np.float32))


def parts(values: np.ndarray, levels: np.ndarray, cuts: list[int], known: Rows) -> list[Digest]:
    """Windows of whole seconds: a step of 80 ms and a tenth of a second meet every 2 s."""
    bounds = [0, *cuts, len(values)]
    return [
        window(
            known,
            a * STEP,
            b * STEP,
            values[a:b],
            values[a:b].max(0),
            levels[int(a * STEP * 10 + 0.5) : int(b * STEP * 10 + 0.5)],
        )
        for a, b in pairwise(bounds)
    ]


def seen(digest: Digest) -> tuple[object, ...]:
    peaks = [column.tolist() for column in digest.peaks]
    return digest.accounts(), digest.level, digest.heard, digest.duration, digest.best.tolist(), peaks


@pytest.mark.parametrize("seed", range(60))
def test_any_cutting_gives_the_same_digest(seed: int) -> None:
    chance = np.random.default_rng(seed)
    size = 25 * int(chance.integers(2, 40))
    values, levels = (
        scores(chance, size, chance.uniform(0.2, 0.8)),
        chance.uniform(-80, 0, size * 8 // 10).astype(np.float32),
    )
    whole = parts(values, levels, [], rows())[0]
    cuts = sorted({int(place) * 25 for place in chance.integers(1, size // 25, 12)} - {0, size})
    cut = parts(values, levels, cuts, rows())
    assert seen(reduce(Digest.followed_by, cut)) == seen(whole)


@pytest.mark.parametrize("seed", range(30))
def test_joining_is_associative(seed: int) -> None:
    chance = np.random.default_rng(seed)
    values, levels = scores(chance, 300), chance.uniform(-80, 0, 240).astype(np.float32)
    a, b, c, d = parts(values, levels, [75, 150, 225], rows())
    left = a.followed_by(b).followed_by(c).followed_by(d)
    assert seen(left) == seen(a.followed_by(b.followed_by(c.followed_by(d))))
    assert seen(a.followed_by(b).followed_by(c.followed_by(d))) == seen(left)


@pytest.mark.parametrize("seed", range(30))
def test_events_are_those_of_the_timeline(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same measures; the timeline's own are wider, for it draws what the digest counts."""
    monkeypatch.setattr(timeline, "LOWER", LOWER)
    monkeypatch.setattr(timeline, "GAP_SECONDS", GAP / 1000)
    monkeypatch.setattr(timeline, "LEAST_SECONDS", LEAST / 1000)
    chance = np.random.default_rng(seed)
    values = scores(chance, 500, 0.4)
    one = Rows.of(LABELS, 0.5)
    found = reduce(Digest.followed_by, parts(values, np.zeros(400, np.float32), [125, 250, 375], one)).accounts()
    finder = EventFinder(Choice(LABELS, (0, 1, 2), 3, 0.5), STEP)
    for at in range(0, 500, 125):
        finder.add(at * STEP, (at + 125) * STEP, values[at : at + 125])
    listed = finder.events()
    for row in range(3):
        expected = [(round(1000 * e.start), round(1000 * e.end)) for e in listed if e.position == row]
        if not expected:
            assert row not in found
            continue
        assert found[row].number == len(expected)
        assert found[row].total == sum(end - start for start, end in expected)
        assert [(event.start, event.end) for event in found[row].first] == expected[:KEPT]
        assert [(event.start, event.end) for event in found[row].last] == expected[-KEPT:]


def test_silence_between_parts_ends_what_was_heard() -> None:
    loud = np.full((125, 3), 0.9, np.float32)
    first, last = window(rows(), 0, 10, loud), window(rows(), 20, 30, loud)
    digest = first.followed_by(window(rows(), 10, 20, None)).followed_by(last)
    assert [(event.start, event.end) for event in digest.accounts()[0].events] == [(0, 10_000), (20_000, 30_000)]
    assert digest.heard == 20_000 and digest.duration == 30_000


def test_hours_take_no_more_than_minutes() -> None:
    chance, known = np.random.default_rng(5), rows()
    digest, values = Digest.empty(), scores(chance, 125, 0.5)
    for number in range(720):
        digest = digest.followed_by(
            window(
                known,
                10 * number,
                10 * number + 10,
                np.roll(values, number, axis=0),
                levels=np.full(100, -20.0, np.float32),
            )
        )
    for account in digest.accounts().values():
        assert len(account.events) <= 3 * KEPT and len(account.bins) <= BINS
        assert sum(amount for _, amount in account.bins) == account.total
    assert max(account.number for account in digest.accounts().values()) > 100 and len(digest.level.bins) <= BINS


def test_a_gap_in_time_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        Digest.empty().followed_by(window(rows(), 1, 2, None))


def test_wider_labels_hear_what_narrower_ones_do() -> None:
    from samcli.text.labels import labels

    known = Rows.of(labels(), 0.5)
    steps = np.zeros((50, len(labels())), np.float32)
    steps[10:20, labels().index("Bark")] = 0.8
    heard = {known.labels[row] for row in window(known, 0, 4, steps).accounts()}
    assert {"Bark", "Dog", "Animal", "Bow-wow"} <= heard and "Cat" not in heard
