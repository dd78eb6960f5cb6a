"""Sounds find the gaps, join dialogue that has room, keep the rules of a guide, and are told once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.records import Record, Tag
from samcli.subtitle.guides import GUIDES, breaches
from samcli.subtitle.placing import Placing, text_of
from samcli.subtitle.script import Cue
from samcli.subtitle.sounds import Sound, sounds_of, told

NETFLIX = GUIDES["netflix"]
DOG = Sound("Dog", 4.0, 5.0, 0.9)


def placed(dialogue: list[Cue], *sounds: Sound, guide=NETFLIX, **more):
    place = Placing(guide, dialogue, guide.style, **more)
    place.put(sounds)
    return place


def cue(start: float, end: float, *lines: str) -> Cue:
    return Cue(round(1000 * start), round(1000 * end), lines or ("Hello.",))


def test_a_gap_takes_the_sound_at_its_moment():
    (one,) = placed([cue(1, 2), cue(8, 9)], DOG).placed
    assert (one.start, one.text, one.beside) == (4000, "[dog barking]", None) and one.end >= 4833


def test_amid_dialogue_it_joins_a_cue_with_a_line_to_spare():
    (one,) = placed([cue(1, 2), cue(3.5, 6)], DOG).placed
    assert (one.start, one.end, one.beside) == (3500, 6000, 1)
    late = placed([cue(3.5, 6, "Two lines", "are too many.")], DOG)
    assert late.placed == [] and late.left_out == [DOG]


def test_what_still_lasts_is_told_in_the_next_gap():
    siren = Sound("Siren", 4.0, 12.0, 0.9)
    (one,) = placed([cue(3.5, 6, "Two lines", "are too many."), cue(12, 13)], siren).placed
    assert one.start == 6000 + NETFLIX.gap and one.beside is None


def test_a_cue_too_quick_to_read_more_is_left_alone():
    place = placed([cue(3.5, 5.1, "All this is as much as may be read."), cue(5.2, 7, "And", "more.")], DOG)
    assert place.placed == [] and place.left_out == [DOG]


def test_what_the_dialogue_describes_is_not_told_again():
    assert placed([cue(3.5, 4.5, "[dog barks]")], DOG).placed == []
    assert placed([cue(3.5, 4.5, "♪ la la ♪")], DOG).placed == []


def test_cues_stand_on_frames():
    (one,) = placed([], Sound("Dog", 4.017, 5.0, 0.9), rate=24000 / 1001, first=0.021).placed
    for time in (one.start, one.end):
        frames = (time / 1000 - 0.021) * 24000 / 1001
        assert abs(frames - round(frames)) < 0.02


moments = st.lists(st.tuples(st.integers(0, 60_000), st.integers(400, 5000), st.integers(1, 40)), max_size=25)


@settings(max_examples=80, deadline=None)
@given(moments, moments, st.sampled_from(list(GUIDES.values())), st.sampled_from([None, 24.0, 30000 / 1001]))
def test_sounds_break_no_rule(spoken, heard, guide, rate):
    """Whatever the dialogue is, overlaps included: what is added obeys the guide and leaves it where it was."""
    dialogue = [Cue(start, start + length, ("x" * size,)) for start, length, size in spoken]
    sounds = [
        Sound(("Dog", "Siren", "Music")[size % 3], start / 1000, (start + length) / 1000, 0.9)
        for start, length, size in sorted(heard)
    ]
    place = placed(dialogue, *told(sounds, away=0.0), guide=guide, rate=rate, ends=70_000)
    own = {one for one in place.placed if one.beside is None}
    added = [Cue(one.start, one.end, tuple(one.text.split("\n"))) for one in own]
    assert breaches(added, guide, rate) == []
    for one in own:
        assert all(one.end <= other.start or one.start >= other.end for other in dialogue)
    for one in place.placed:
        if one.beside is not None:
            other = dialogue[one.beside]
            assert (one.start, one.end) == (other.start, other.end)
            joined = Cue(one.start, one.end, (*other.lines, *one.text.split("\n")))
            before = {breach.rule for breach in breaches([other], guide, rate)}
            assert {breach.rule for breach in breaches([joined], guide, rate)} <= before


def test_one_sound_has_one_name_and_is_told_once():
    barks = [Sound("Dog", 4, 5, 0.8), Sound("Animal", 4, 5, 0.9), Sound("Bark", 4.1, 4.9, 0.7), Sound("Dog", 7, 8, 0.9)]
    later = [Sound("Dog", 30, 31, 0.9), Sound("Speech", 1, 9, 0.9), Sound("Silence", 20, 22, 0.9)]
    assert [(sound.label, sound.start) for sound in told([*barks, *later])] == [("Dog", 4), ("Dog", 30)]


def test_a_far_sound_is_much_softer_than_the_film():
    levels = [np.where(np.arange(600) < 400, -20.0, -55.0)]
    tags = (Tag("Dog", 0.9),)
    near, far = (Record(task="tag", path="a", start=start, end=start + 1, tags=tags) for start in (10.0, 45.0))
    assert [sound.far for sound in sounds_of([near, far], levels)] == [False, True]
    assert text_of([Sound("Dog", 0, 1, 0.9, far=True)], "ongoing", NETFLIX) == "[dog barking in the distance]"


@pytest.mark.parametrize(
    ("label", "style", "text"),
    [
        ("Dog", "present", "[dog barks]"),
        ("Dog", "capitals", "DOG BARKS"),
        ("Slam", "ongoing", "[door slamming]"),
        ("Laughter", "ongoing", "[laughter]"),
        ("Explosion", "present", "[explosion]"),
        ("Scary music", "ongoing", "[♪ scary music]"),
        ("A label of my own", "ongoing", "[a label of my own]"),
    ],
)
def test_words(label, style, text):
    assert text_of([Sound(label, 0, 1, 0.9)], style, NETFLIX) == text


def test_the_check_names_every_rule():
    bad = [
        cue(1, 1.6, "Too short."), cue(2, 12, "Too long."), cue(12.01, 14, "Too soon"), cue(13, 15, "Overlaps"),
        cue(20, 21, "x" * 50), cue(30, 33, "a", "b", "c"), cue(41, 40), Cue(50_000, 52_000, ()),
    ]  # fmt: skip
    rules = [breach.rule for breach in breaches(bad, NETFLIX)]
    assert rules == ["short", "long", "gap", "overlap", "line", "speed", "lines", "order", "empty"]
    assert breaches([cue(1, 3), cue(4, 6)], NETFLIX) == []
