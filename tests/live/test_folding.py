"""One sound is told once, by the plainest of the names it goes by."""

from __future__ import annotations

import numpy as np
import pytest

from samcli.live.folding import Folding
from samcli.live.tracker import Tracker
from samcli.tasks.tag import Choice

LABELS = ("Dog", "Bark", "Bow-wow", "Animal", "Bird", "Music", "Guitar", "Rain")
HOP = STEP = 0.4

Times = tuple[float, float, float]  # start, end, score


def tracker(alone: bool = False, fold: bool = True) -> Tracker:
    choice = Choice.of(LABELS, (), len(LABELS), 0.35)
    return Tracker(choice, STEP, Folding(LABELS, alone) if fold else None)


def told(seconds: float, ear: Tracker | None = None, **heard: list[Times] | Times) -> list[tuple[str, str, float]]:
    """What is told of such labels at such times: kind, label, and when it was said."""
    ear = ear or tracker()
    found, hops = [], round(seconds / HOP)
    for hop in range(hops):
        at = hop * HOP
        scores = np.zeros((1, len(LABELS)), np.float32)
        for name, times in heard.items():
            for start, end, score in times if isinstance(times, list) else [times]:
                if start - 1e-6 <= at < end - 1e-6:
                    scores[0, LABELS.index(name.replace("_", "-"))] = score
        found += [(one, at + HOP) for one in ear.add(at, at + HOP, scores)]
    found += [(one, seconds) for one in ear.finish(seconds)]
    return [(one.kind, LABELS[one.event.position], round(now, 3)) for one, now in found]


def test_a_dog_is_one_event_by_all_its_names() -> None:
    ear = tracker()
    scores = np.array([[0.8, 0.5, 0.45, 0.6, 0, 0, 0, 0]], np.float32)
    changes = [change for hop in range(10) for change in ear.add(hop * HOP, (hop + 1) * HOP, scores)]
    changes += ear.finish(4.0)
    assert [(change.kind, LABELS[change.event.position]) for change in changes] == [("begin", "Dog"), ("end", "Dog")]
    assert (changes[1].event.start, changes[1].event.end) == (0, 4.0)
    assert {LABELS[place] for place in changes[1].names} == {"Dog", "Bark", "Bow-wow", "Animal"}


def test_a_wide_name_waits_for_a_better_one() -> None:
    found = told(6, Animal=(0, 4, 0.7), Dog=(0.4, 4, 0.6))
    assert [one[:2] for one in found] == [("begin", "Dog"), ("end", "Dog")] and found[0][2] <= 1.2
    assert told(4, Animal=(0, 4, 0.7)) == [("begin", "Animal", 0.8), ("end", "Animal", 4.0)]


def test_a_wide_name_gives_way_to_one_as_sure() -> None:
    found = told(10, Animal=(0, 8, 0.6), Dog=(4, 8, 0.8))
    assert [one[:2] for one in found] == [("begin", "Animal"), ("end", "Animal"), ("begin", "Dog"), ("end", "Dog")]
    assert [one[:2] for one in told(10, Animal=(0, 8, 0.9), Dog=(4, 8, 0.4))] == [
        ("begin", "Animal"),
        ("end", "Animal"),
    ]


def test_a_wide_name_that_outlasts_the_sound_is_told_after_it() -> None:
    found = told(12, Dog=(0, 2, 0.8), Animal=(0, 12, 0.6))
    assert [one[:2] for one in found] == [("begin", "Dog"), ("end", "Dog"), ("begin", "Animal"), ("end", "Animal")]
    assert told(12, Dog=(0, 2, 0.8), Animal=(0, 3.6, 0.6))[1:] == [("end", "Dog", 5.2)]


def test_what_fades_and_rises_again_is_told_once() -> None:
    """Between both thresholds a sound has not ended for sure: it must not be told as over, and then begin once more."""
    for back in (0.0, 0.8):
        found = told(20, Dog=[(0, 2, 0.8), (2.4, 10, 0.2), (10, 12, back)])
        assert [one[:2] for one in found] == [("begin", "Dog"), ("end", "Dog")]


def test_what_lasts_may_pause_for_longer() -> None:
    assert [one[0] for one in told(30, Rain=[(0, 4, 0.8), (11, 15, 0.8)])] == ["begin", "end"]
    assert [one[0] for one in told(30, Dog=[(0, 4, 0.8), (11, 15, 0.8)])] == ["begin", "end"] * 2
    assert [one[0] for one in told(40, Rain=[(0, 4, 0.8), (16, 20, 0.8)])] == ["begin", "end"] * 2


def test_what_a_second_look_finds_is_told_and_what_the_first_found_stays() -> None:
    """A short bark is seldom clear before it is over; and a sound that was told has begun, whatever follows."""
    quiet, bark = np.zeros((1, len(LABELS)), np.float32), np.zeros((1, len(LABELS)), np.float32)
    bark[0, LABELS.index("Bark")] = 0.7
    for fold in (True, False):
        for looks in ([(quiet, quiet), (quiet, bark)], [(bark, quiet), (quiet, quiet)]):
            ear = tracker(fold=fold)
            changes = [ear.add(hop * HOP, (hop + 1) * HOP, now, before) for hop, (now, before) in enumerate(looks)]
            kinds = [change.kind for some in [*changes, ear.finish(2 * HOP)] for change in some]
            assert kinds == ["begin", "end"] and bool(changes[0]) == (looks[0][0] is bark)


def test_limits_of_the_model_are_higher_for_two_looks() -> None:
    own = Choice.of(LABELS, (), len(LABELS), (0.35,) * len(LABELS))
    for choice, told in ((own, 0), (Choice.of(LABELS, (), len(LABELS), 0.35), 1)):
        scores = np.full((1, len(LABELS)), 0.36, np.float32) * np.eye(len(LABELS), dtype=np.float32)[:1]
        ear = Tracker(choice, STEP, None)
        assert len([change for hop in range(3) for change in ear.add(hop * HOP, (hop + 1) * HOP, scores)]) == told


def test_two_sounds_are_two_events() -> None:
    found = told(6, Dog=(0, 4, 0.8), Bird=(1.2, 4, 0.7), Animal=(0, 4, 0.9))
    assert sorted(one[:2] for one in found) == [("begin", "Bird"), ("begin", "Dog"), ("end", "Bird"), ("end", "Dog")]


def test_a_short_pause_ends_nothing() -> None:
    assert len(told(20, Dog=[(0, 2, 0.8), (4.4, 6, 0.8)])) == 2
    assert len(told(20, Dog=[(0, 2, 0.8), (6, 8, 0.8)])) == 4
    assert len(told(20, Dog=(0, 2, 0.8), Bark=[(4, 6, 0.5), (8, 10, 0.6)])) == 2  # its other names hold it open


def test_a_blip_has_to_be_clear() -> None:
    assert told(6, Dog=(1.2, 1.6, 0.4)) == [] and len(told(6, Dog=(1.2, 1.6, 0.6))) == 2


@pytest.mark.parametrize("ear", [tracker(alone=True), tracker(fold=False)])
def test_names_that_were_asked_for_are_told_each(ear: Tracker) -> None:
    found = told(6, ear, Dog=(0, 4, 0.8), Bark=(0, 4, 0.5), Animal=(0, 4, 0.6))
    assert {one[:2] for one in found} == {
        (kind, name) for kind in ("begin", "end") for name in ("Dog", "Bark", "Animal")
    }
    assert len(found) == 6


def test_a_name_that_gives_way_before_it_is_told_does_not_end() -> None:
    labels = ("Animal", "Wild animals")
    ear = Tracker(Choice.of(labels, (), len(labels), 0.35), STEP, Folding(labels, False))
    scores = np.array([[0.7, 0.6]], np.float32)
    changes = [change for hop in range(5) for change in ear.add(hop * HOP, (hop + 1) * HOP, scores)]
    changes += ear.finish(2.0)
    told = [(change.kind, labels[change.event.position]) for change in changes]
    assert told == [("begin", "Wild animals"), ("end", "Wild animals")]
