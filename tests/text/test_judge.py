"""Sentences that people would write pass; what a model says when it has lost its way does not."""

from __future__ import annotations

import pytest

from samcli.text.judge import EMPTY, NO_STOP, REPEATED, SMALL, STRAYED, UNFINISHED, faults, nonsense


@pytest.mark.parametrize(
    "text",
    [
        "A dog is barking.",
        "A soda can can be heard together with an alarm ringing.",
        "After the heavy breathing of a person, a person is knocking.",
        "As a fly is buzzing around softly, a bicycle is riding by.",
        "A dog barks and then another dog barks.",
        "No.",
        "Yes, the barks of a dog can be heard.",
        "No, only rain can be heard. Nothing else.",
        "There is no way to tell that from the sound.",
        "a) a door creaking",
        "12 times.",
        "\u72ac\u304c\u5420\u3048\u3066\u3044\u308b\u3002",
        'Someone says "no."',
    ],
)
def test_a_good_text_has_no_fault(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [EMPTY]),
        (" . ", [EMPTY]),
        (" ".join(["Yes"] * 48), [REPEATED, STRAYED, UNFINISHED]),
        ("A A on button, Yes Yes Yes Yes.", [REPEATED, STRAYED]),
        ("A dog dog barks.", [REPEATED]),
        ("A dog barks. A dog barks.", [REPEATED]),
        ("A dog is barking, a dog is barking, a dog is barking.", [REPEATED]),
        ("A dog is barking, then church bells are tolling, and then a No.", [STRAYED]),
        ("A dog is barking, then a First music is playing.", [STRAYED]),
        ("A person walking, then a, and finally a hen cackling.", [UNFINISHED]),
        ("A dog is barking, then church bells are tolling, and then a big cat roars at the", [UNFINISHED]),
        ("A dog is barking, then church bells are tolling, then rain falls, then a cat roars", [UNFINISHED]),
        ("A dog barks and", [UNFINISHED]),
        ("dog barking", [SMALL, NO_STOP]),
        ("a dog barks.", [SMALL]),
        ("A dog barks", [NO_STOP]),
    ],
)
def test_each_fault_is_found(text: str, found: list[str]) -> None:
    assert faults(text) == found


def test_a_manner_is_no_nonsense() -> None:
    """A model that was taught names writes names."""
    assert nonsense("dog barking") == [] and nonsense("Dog") == []


def test_what_had_to_be_short_may_break_off() -> None:
    assert faults("A dog is barking, then a", whole=False) == []
    assert faults("A A dog", whole=False) == [REPEATED]


def test_what_the_model_learns_to_say_passes() -> None:
    from samcli.training.language.random_scenes import random_sentences

    said = [text for text in random_sentences(3000, seed=3) if text.endswith(".")]
    assert len(said) > 1000
    assert sum(bool(nonsense(text)) for text in said) <= len(said) // 1000  # the grammar has its slips


def test_a_long_text_is_judged_quickly() -> None:
    assert nonsense(" ".join(f"word{number}" for number in range(5000)) + ".") == []
