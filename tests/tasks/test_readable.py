"""Timelines for people: one name for one sound, no blips, and subtitles that can be read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.records import Record, Tag
from samcli.tasks.readable import LEAST_CUE_SECONDS, LINES, Event, cues, readable

LABELS = ("Speech", "Dog", "Bark", "Bow-wow", "Music", "Wren", "Rain")  # the last but one is a person's own
SPEECH, DOG, BARK, BOW_WOW, MUSIC, WREN, RAIN = range(7)


def told(*events: Event) -> list[tuple[float, float, str]]:
    return [(event.start, event.end, LABELS[event.position]) for event in readable(events, LABELS)]


def test_the_narrower_name_stays_unless_the_wider_is_much_surer() -> None:
    assert told(Event(0, 4, 0.8, DOG), Event(1, 4, 0.7, BARK)) == [(1, 4, "Bark")]
    assert told(Event(0, 4, 0.9, DOG), Event(1, 4, 0.4, BARK)) == [(0, 4, "Dog")]
    assert told(Event(0, 4, 0.9, BARK), Event(0, 4, 0.8, BOW_WOW)) == [(0, 4, "Bark")], "two names of one sound"


def test_a_wider_name_goes_on_where_the_narrower_is_silent() -> None:
    assert told(Event(0, 60, 0.8, DOG), Event(10, 20, 0.7, BARK)) == [(0, 10, "Dog"), (10, 20, "Bark"), (20, 60, "Dog")]


def test_other_sounds_and_names_of_ones_own_are_left_alone() -> None:
    events = [Event(0, 9, 0.8, SPEECH), Event(1, 9, 0.3, MUSIC), Event(2, 9, 0.3, WREN)]
    assert readable(events, LABELS) == events


def test_pauses_are_bridged_and_blips_left_out() -> None:
    assert told(Event(0, 1, 0.6, DOG), Event(3.5, 4, 0.9, DOG)) == [(0, 4, "Dog")]
    assert told(Event(0, 1, 0.6, DOG), Event(4.5, 5.5, 0.9, DOG)) == [(0, 1, "Dog"), (4.5, 5.5, "Dog")]
    assert told(Event(0, 1, 0.6, RAIN), Event(10.5, 12, 0.9, RAIN)) == [(0, 12, "Rain")]
    assert told(Event(0, 0.3, 0.3, MUSIC)) == []
    assert told(Event(0, 0.3, 0.9, MUSIC)) == [(0, 0.3, "Music")], "a shot is short, and clear"


def record(start: float, end: float, label: str, score: float = 0.5, path: str = "a.wav") -> Record:
    return Record(task="tag", path=path, start=start, end=end, duration=1000.0, tags=(Tag(label, score),))


stretches = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0.1, 30), st.sampled_from("abcdef"), st.floats(0, 1)), max_size=40
)


@settings(deadline=None)
@given(stretches)
def test_never_more_lines_than_two_and_each_long_enough(found: list[tuple[float, float, str, float]]) -> None:
    records = [record(start, start + length, label, score) for start, length, label, score in sorted(found)]
    shown = list(cues(records))
    assert [one.start for one in shown] == sorted(one.start or 0 for one in shown)
    for one in shown:
        assert (one.end or 0) - (one.start or 0) >= LEAST_CUE_SECONDS - 1e-6
    # A line that was too short to read is held on screen, beside what follows: only the long ones are counted.
    long = [one for one in shown if (one.end or 0) - (one.start or 0) > LEAST_CUE_SECONDS + 1e-6]
    for one in long:
        assert sum((other.start or 0) <= (one.start or 0) < (other.end or 0) for other in long) <= LINES


def test_of_three_at_a_time_the_surest_two_are_shown() -> None:
    shown = list(cues([record(0, 20, "a", 0.9), record(1, 20, "b", 0.3), record(5, 15, "c", 0.8)]))
    assert [(one.start, one.end, one.text) for one in shown] == [(0, 20, "a"), (1, 5, "b"), (5, 15, "c")]


def test_neighbours_that_say_the_same_are_one_line_and_recordings_keep_apart() -> None:
    same = [Record(task="caption", path=path, start=at, end=at + 10.0, caption="Rain.")
            for path in "ab" for at in (0.0, 10.0, 20.0)]  # fmt: skip
    assert [(one.path, one.start, one.end) for one in cues(same)] == [("a", 0, 30), ("b", 0, 30)]


def test_what_has_no_times_passes() -> None:
    failed = Record(task="tag", path="a.wav")
    assert list(cues([failed])) == [failed]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_made_of_nothing(count: int) -> None:
    assert readable([], LABELS) == [] and list(cues([])) == []
