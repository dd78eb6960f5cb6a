"""The label table, and which sounds a text names."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from samcli.text.labels import (
    broader,
    labels,
    mentions,
    names_sound,
    narrower,
    phrase,
    sounds_named,
    synonyms,
    unsupported,
)


def test_there_are_the_527_names_in_their_order() -> None:
    names = labels()
    assert len(names) == len(set(names)) == 527
    assert (names[0], names[74], names[137], names[500], names[526]) == (
        "Speech", "Dog", "Music", "Silence", "Field recording",
    )  # fmt: skip


def test_every_label_has_a_phrase_and_words_that_name_it() -> None:
    for label in labels():
        assert synonyms(label), label
        assert names_sound(synonyms(label)[0], label), label
        assert phrase(label) and phrase(label) == " ".join(phrase(label).split()), label


def test_wider_labels_form_no_circle() -> None:
    for label in labels():
        assert label not in broader(label)
        assert all(wider in labels() for wider in broader(label)), label
    assert broader("Bark") >= {"Dog", "Domestic animals, pets", "Animal"}
    assert {"Bark", "Yip", "Bow-wow"} <= narrower("Dog")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A dog barks.", "Dog"),
        ("Loud BARKING nearby", "Bark"),
        ("A dog has barked twice", "Bark"),
        ("The crowing of a rooster", "Crowing, cock-a-doodle-doo"),
        ("Someone's typing on a keyboard", "Typing"),
        ("A man is speaking", "Male speech, man speaking"),
        ("Two women talk", "Female speech, woman speaking"),
        ("Someone brushes their teeth", "Toothbrush"),
        ("A washing machine is running", "Washing machine"),
        ("A can pops open", "Can opening"),
        ("Sirens wail", "Siren"),
        ("Mice squeak", "Rodents, rats, mice"),
        ("A baby\u2019s cry", "Baby cry, infant cry"),
        ("Church bells toll", "Church bell"),
        ("The hi-hat ticks", "Hi-hat"),
        ("It is silent.", "Silence"),
    ],
)
def test_a_text_names_a_sound_in_any_form(text: str, label: str) -> None:
    assert names_sound(text, label)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The hotdog stand is open", "Dog"),
        ("A plane flies by", "Fly, housefly"),
        ("A cartoon plays", "Car"),
        ("Rain falls", "Train"),
        ("A drum is struck", "Bass drum"),
        ("A person speaks", "Female speech, woman speaking"),
        ("A bird sings", "Crow"),
        ("Scattered thoughts", "Cat"),
        ("", "Dog"),
    ],
)
def test_a_text_does_not_name_what_it_does_not_say(text: str, label: str) -> None:
    assert not names_sound(text, label)


def test_the_longest_phrase_wins() -> None:
    assert [mention.words for mention in mentions("A bass drum, a wind chime and an alarm clock")] == [
        "bass drum", "wind chime", "alarm clock",
    ]  # fmt: skip
    assert "Wind" not in sounds_named("a wind chime")
    # A phrase does not reach across a mark.
    assert [mention.words for mention in mentions("A train whistle")] == ["train whistle"]
    assert [mention.words for mention in mentions("A train, whistling")] == ["train", "whistling"]


def test_what_is_not_heard_is_invented() -> None:
    assert unsupported("A dog barks while a siren sounds.", {"Dog"}) == ["siren"]
    assert unsupported("A dog barks while a siren sounds.", {"Bark", "Police car (siren)"}) == []
    assert unsupported("An animal is heard.", {"Meow"}) == []
    assert unsupported("A poodle of a caption without sounds.", set()) == []
    # A narrower claim than what is known is an invention; a wider one is not.
    assert unsupported("A crow caws.", {"Bird"}) == ["crow", "caws"]
    assert unsupported("A bird calls.", {"Crow"}) == []


@pytest.mark.skipif("SAMCLI_CORPUS" not in os.environ, reason="SAMCLI_CORPUS names no corpus")
def test_every_label_of_the_corpus_can_be_named() -> None:
    with (Path(os.environ["SAMCLI_CORPUS"]) / "manifest.csv").open(encoding="utf-8") as lines:
        found = {row["label"] for row in csv.DictReader(lines)} - {"", "unknown"}
    for label in found:
        assert names_sound(phrase(label), label) or names_sound(synonyms(label)[0], label), label
