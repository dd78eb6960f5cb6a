"""Which tags are written down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.engine.task import Window
from samcli.errors import UsageError
from samcli.tasks.tag import Choice, TagGatherer, find_labels

LABELS = ("Speech", "Dog", "Inside, small room", "Siren", "Rain", "Music", "Bird")


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_defaults_show_the_best_five_above_a_tenth() -> None:
    choice = Choice.of(LABELS, (), None, None)
    found = choice.tags(scores(0.9, 0.1, 0.09, 0.5, 0.3, 0.2, 0.6))
    assert [(tag.label, tag.score) for tag in found] == [
        ("Speech", 0.9), ("Bird", 0.6), ("Siren", 0.5), ("Rain", 0.3), ("Music", 0.2)
    ]  # fmt: skip
    assert Choice.of(LABELS, (), None, None).tags(scores(*[0.05] * 7)) == ()


def test_labels_asked_for_are_all_shown() -> None:
    choice = Choice.of(LABELS, ["siren", "INSIDE, small room", "Siren"], None, None)
    assert [tag.label for tag in choice.tags(scores(1, 1, 0.001, 0.002, 1, 1, 1))] == ["Siren", "Inside, small room"]
    assert [tag.label for tag in Choice.of(LABELS, ["Rain"], None, 0.5).tags(scores(*[0.4] * 7))] == []


def test_each_label_may_have_a_threshold_of_its_own() -> None:
    own = (0.5, 0.05, 0.2, 0.6, 0.3, 0.9, 0.1)
    found = Choice.of(LABELS, (), None, own).tags(scores(0.45, 0.06, 0.2, 0.6, 0.29, 0.89, 0.95))
    assert [tag.label for tag in found] == ["Bird", "Siren", "Inside, small room", "Dog"]
    asked = Choice.of(LABELS, ["Rain", "Dog"], None, own)
    assert [tag.label for tag in asked.tags(scores(*[0.29] * 7))] == ["Dog"]
    assert asked.told == "auto" and Choice.of(LABELS, (), None, 0.25).told == 0.25
    assert Choice.of(LABELS, (), None, None).told == 0.1 and Choice.of(LABELS, ["Dog"], None, None).told == 0.0


def test_labels_by_their_plain_words() -> None:
    from samcli.text.labels import labels

    known = labels()
    assert "Vehicle horn, car horn, honking" in [known[place] for place in find_labels(["Car horn"], known)]
    assert [known[place] for place in find_labels(["dog"], known)] == ["Dog"], "the label itself comes before its words"
    assert find_labels(["dog", "DOG ", "Dog"], known) == find_labels(["Dog"], known)


def test_unknown_labels_name_a_near_one() -> None:
    with pytest.raises(UsageError, match=r"'Sirn'.*'Siren'"):
        find_labels(["Sirn"], LABELS)
    with pytest.raises(UsageError, match=r"no label 'xyzzy'\.$"):
        find_labels(["xyzzy"], LABELS)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7), st.integers(1, 9), st.floats(0, 1))
def test_tags_are_the_highest_and_in_order(values: list[float], top_k: int, threshold: float) -> None:
    found = Choice.of(LABELS, (), top_k, threshold).tags(np.array(values, np.float32))
    rounded = [round(value, 4) for value in np.array(values, np.float32).tolist()]
    expected = sorted((value for value in rounded if value >= threshold), reverse=True)[:top_k]
    assert [tag.score for tag in found] == expected
    assert all(rounded[LABELS.index(tag.label)] == tag.score for tag in found)


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7), min_size=1, max_size=6))
def test_a_recording_scores_as_its_best_window(windows: list[list[float]]) -> None:
    gatherer = TagGatherer(Choice.of(LABELS, (), 7, 0))
    for number, window in enumerate(windows):
        gatherer.add(Window(number * 10, number * 10 + 10, np.array(window, np.float32)))
        gatherer.add(Window(number * 10, number * 10 + 10))
    assert gatherer.best is not None
    assert gatherer.best.tolist() == np.array(windows, np.float32).max(0).tolist()
