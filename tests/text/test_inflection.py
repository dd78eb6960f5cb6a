"""English word forms."""

from __future__ import annotations

import pytest

from samcli.text import inflection


@pytest.mark.parametrize(
    ("base", "present", "ongoing"),
    [
        ("bark", "barks", "barking"),
        ("hiss", "hisses", "hissing"),
        ("fly", "flies", "flying"),
        ("chime", "chimes", "chiming"),
        ("hum", "hums", "humming"),
        ("open", "opens", "opening"),
        ("echo", "echoes", "echoing"),
        ("be poured", "is poured", "being poured"),
        ("open or close", "opens or closes", "opening or closing"),
        ("click and whistle", "clicks and whistles", "clicking and whistling"),
        ("breathe in and out", "breathes in and out", "breathing in and out"),
        ("play a note", "plays a note", "playing a note"),
    ],
)
def test_verbs(base: str, present: str, ongoing: str) -> None:
    assert inflection.present(base, many=False) == present
    assert inflection.ongoing(base) == ongoing
    assert inflection.progressive(base, many=True) == f"are {ongoing}"


def test_many_doers_keep_the_base_form() -> None:
    assert inflection.present("bark", many=True) == "bark"
    assert inflection.present("be poured", many=True) == "are poured"


@pytest.mark.parametrize(
    ("one", "more"),
    [
        ("bark", "barks"),
        ("knock on a door", "knocks on a door"),
        ("cymbal crash", "cymbal crashes"),
        ("burst of gunfire", "bursts of gunfire"),
        ("cry", "cries"),
        ("wolf", "wolves"),
    ],
)
def test_nouns(one: str, more: str) -> None:
    assert inflection.plural(one) == more


def test_how_often() -> None:
    assert [inflection.times(count) for count in (1, 2, 3, 12, 21)] == [
        "once", "twice", "three times", "twelve times", "21 times",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "form"),
    [("bark", "barked"), ("break", "broken"), ("cry", "cried"), ("hum", "hummed"), ("chime", "chimed")],
)
def test_participles(verb: str, form: str) -> None:
    assert inflection.participle(verb) == form
