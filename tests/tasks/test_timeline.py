"""Events: checked against a slow and plain finder, and against the cuts between windows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.tasks.readable import Event
from samcli.tasks.tag import Choice
from samcli.tasks.timeline import GAP_SECONDS, LEAST_SECONDS, EventFinder

STEP = 0.1
THRESHOLD = 0.4


def find(steps: list[float], cuts: list[int] | None = None, top_k: int | None = None) -> list[Event]:
    """Events of one label whose score is the given one at each step, fed in windows cut at these steps."""
    finder = EventFinder(Choice.of(("a",), (), top_k, THRESHOLD, timeline=0.3), STEP)
    edges = [0, *sorted(cuts or []), len(steps)]
    for start, end in itertools.pairwise(edges):
        if end > start:
            finder.add(start * STEP, end * STEP, np.array(steps[start:end], np.float64)[:, None])
    return finder.events()


def plain(steps: list[float]) -> list[tuple[int, int]]:
    """The definition, step by step: stretches at half the threshold that reach it, joined, then the long ones."""
    stretches, start = [], None
    for place, score in enumerate([*steps, 0.0]):
        if score >= THRESHOLD / 2 and start is None:
            start = place
        elif score < THRESHOLD / 2 and start is not None:
            if max(steps[start:place]) >= THRESHOLD:
                stretches.append((start, place))
            start = None
    joined: list[tuple[int, int]] = []
    for begin, end in stretches:
        if joined and (begin - joined[-1][1]) * STEP <= GAP_SECONDS + 1e-9:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return [(begin, end) for begin, end in joined if (end - begin) * STEP >= LEAST_SECONDS - 1e-9]


tracks = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4, 0.9]), max_size=120)


@settings(deadline=None)
@given(tracks)
def test_against_the_definition(steps: list[float]) -> None:
    found = [(round(event.start / STEP), round(event.end / STEP)) for event in find(steps)]
    assert found == plain(steps)


@settings(deadline=None)
@given(tracks, st.lists(st.integers(0, 120), max_size=6))
def test_windows_leave_no_trace(steps: list[float], cuts: list[int]) -> None:
    whole = find(steps)
    cut = find(steps, [edge for edge in cuts if edge < len(steps)])
    assert [event.score for event in cut] == [event.score for event in whole]
    assert np.allclose([event[:2] for event in cut], [event[:2] for event in whole])


def test_a_sound_that_fades_is_one_event() -> None:
    (event,) = find([0, 0, 0.25, 0.9, 0.3, 0.25, 0.5, 0.21, 0.1, 0])
    assert event.start == pytest.approx(0.2) and event.end == pytest.approx(0.8) and event.score == 0.9


def test_too_faint_too_short_and_nearly_touching() -> None:
    assert find([0.3] * 20) == [], "the upper threshold was never reached"
    assert find([0, 0.9, 0.9, 0]) == [], "a fifth of a second is too short"
    assert len(find([0.9] * 4 + [0] * 4 + [0.9] * 4)) == 1
    assert len(find([0.9] * 4 + [0] * 8 + [0.9] * 4)) == 2
    assert len(find([0.9, 0, 0, 0.9, 0, 0, 0.9])) == 1, "short ones that nearly touch are one long one"


def test_silence_ends_events_and_labels_keep_apart() -> None:
    finder = EventFinder(Choice.of(("a", "b", "c"), ("a", "c"), None, THRESHOLD, timeline=0.3), 0.5)
    finder.add(0, 2, np.array([[0.9, 0.9, 0.1], [0.9, 0.9, 0.9], [0.1, 0.9, 0.9], [0.1, 0.9, 0.9]]))
    finder.add(2, 12, None)
    finder.add(12, 14, np.array([[0.1, 0.9, 0.8]] * 4))
    assert finder.events() == [Event(0, 1, 0.9, 0), Event(0.5, 2, 0.9, 2), Event(12, 14, 0.8, 2)]


def test_each_label_opens_and_ends_by_its_own_threshold() -> None:
    finder = EventFinder(Choice.of(("a", "b"), (), None, None, timeline=(0.8, 0.2)), 0.5)
    finder.add(0, 2.5, np.array([[0.7, 0.3], [0.7, 0.09], [0.9, 0.3], [0.41, 0.3], [0.39, 0.09]]))
    assert finder.events() == [Event(0, 2, 0.9, 0), Event(0, 2, 0.3, 1)], "a pause of half a second ends nothing"
    finder = EventFinder(Choice.of(("a", "b"), (), None, None, timeline=(0.2, 0.8)), 0.5)
    finder.add(0, 1, np.array([[0.3, 0.7], [0.3, 0.7]]))
    assert finder.events() == [Event(0, 1, 0.3, 0)]


def test_the_last_step_reaches_to_the_end_of_the_window() -> None:
    finder = EventFinder(Choice.of(("a",), (), None, THRESHOLD, timeline=0.3), 0.16)
    finder.add(0, 10, np.full((62, 1), 0.9))  # 62 steps of 0.16 s are 9.92 s
    finder.add(10, 15.5, np.full((35, 1), 0.9))  # the 35th step would end at 15.6
    assert finder.events() == [Event(0, 15.5, 0.9, 0)]


def test_top_k_keeps_the_labels_with_the_best_moments() -> None:
    finder = EventFinder(Choice.of(("a", "b", "c"), (), 2, THRESHOLD, timeline=0.3), 1.0)
    finder.add(0, 3, np.array([[0.5, 0.6, 0.7], [0.1, 0.1, 0.1], [0.8, 0.1, 0.1]]))
    assert [(event.start, event.position) for event in finder.events()] == [(0, 2), (0, 0), (2, 0)]
