"""Questions as people put them, read by the reader that is shipped."""

from __future__ import annotations

from random import Random

import pytest

from samcli.questions.lexicon import alike, find
from samcli.questions.meaning import understand
from samcli.questions.reader import INTENTS, ROLES, split
from samcli.training.question_reader.train import held_out_questions, questions


@pytest.mark.parametrize(
    ("text", "intent", "label"),
    [
        ("Is there a dog?", "present", "Dog"),
        ("is there a puppy, please", "present", "Dog"),
        ("Can you hear a siren? Answer yes or no.", "present", "Siren"),
        ("is there no rain?", "absent", "Rain"),
        ("when does the siren start?", "when", "Siren"),
        ("how many times does the dog bark", "count", "Bark"),
        ("how long is the music heard?", "long", "Music"),
        ("what share of the time is there traffic?", "share", "Traffic noise, roadway noise"),
        ("is the rain constant?", "continuous", "Rain"),
        ("what is heard after the thunder?", "after", "Thunder"),
        ("What do you hear?", "which", None),
        ("list all sounds", "list", None),
        ("describe the recording", "describe", None),
        ("what comes first?", "first", None),
        ("what is the loudest sound", "loudest", None),
        ("what are they saying?", "refuse", None),
        ("what is the capital of peru", "refuse", None),
        ("gibt es hier Musik und Regen?", "foreign", None),
    ],
)
def test_one_question(text: str, intent: str, label: str | None) -> None:
    found = understand(text)
    assert [question.intent for question in found] == [intent]
    names = (*found[0].asked, *found[0].other)
    assert (names[0].label if names else None) == label


def test_two_questions_in_one() -> None:
    found = understand("Is there a siren? And how long does it last?")
    assert [question.intent for question in found] == ["present", "long"]
    assert [question.asked[0].label for question in found] == ["Siren", "Siren"]


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("How many times does a dog bark, and when? Answer briefly.", ["count", "when"]),
        ("is there a dog? if so, when?", ["present", "when"]),
        ("how often does a dog bark and when was the last time?", ["often", "until"]),
        ("Is there a dog and how loud?", ["present", "loud"]),
        ("is there a dog and what else can be heard?", ["present", "else"]),
    ],
)
def test_a_second_question_without_a_sound_is_about_the_same_one(text: str, intents: list[str]) -> None:
    questions = understand(text)
    assert [question.intent for question in questions] == intents
    assert {name.label for question in questions for name in question.asked} <= {"Dog", "Bark"}
    assert all(question.asked for question in questions)


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("what comes first and what comes last?", ["first", "last"]),
        ("does the dog bark more than once?", ["count"]),
        ("how many barks in the first half?", ["count"]),
        ("tell me about the bells", ["times"]),
        ("when is it quiet?", ["quietest_at"]),
        ("are there any animals? which ones?", ["present", "kind"]),
        ("any animals, and which?", ["present", "kind"]),
        ("what's between the dog and the siren?", ["between"]),
        ("what is heard between the rain and the siren?", ["between"]),
        ("give me a timeline of events", ["describe"]),
        ("a dog, a cat or a siren, which one?", ["choice"]),
        ("how many different animals can you make out?", ["kind"]),
    ],
)
def test_what_is_asked_between_the_words(text: str, intents: list[str]) -> None:
    assert [question.intent for question in understand(text)] == intents


def test_when_behind_a_question_that_tells_it_asks_nothing_more() -> None:
    assert [question.intent for question in understand("what's the loudest thing and when")] == ["loudest"]


def test_options_keep_their_order_and_letters() -> None:
    found = understand("Which of these is heard? a) a cat b) a dog c) a cow")[0]
    assert found.intent == "choice" and found.lettered == "abc"
    assert [name.label for name in found.asked] == ["Cat", "Dog", "Cattle, bovinae"]


@pytest.mark.parametrize("text", ["", "?", "...", "\U0001f415", "a" * 5000, "dog " * 500, "\x00\n\t", "¿¿¿"])
def test_anything_at_all_is_read(text: str) -> None:
    found = understand(text)
    assert 1 <= len(found) <= 3 and all(question.intent in INTENTS for question in found)


def test_words_that_are_no_label() -> None:
    for word, label in (("lorry", "Truck"), ("hoovering", "Vacuum cleaner"), ("someone's talking", "Speech")):
        assert find(word.split()) == (label,)
    assert find(["unicorn"]) == () and alike("thnuder") == "Thunder"
    assert find(["a", "man", "coughing"]) == ("Cough",)


def test_what_is_named_is_kept_where_it_matters() -> None:
    [between] = understand("what's between the dog and the siren?")
    assert [name.label for name in between.asked + between.other] == ["Dog", "Siren"]
    [first] = understand("what is the first animal?")
    assert [name.label for name in first.asked] == ["Animal"]


@pytest.mark.parametrize("text", ["is it hailing?", "is it snowing?", "any hail?"])
def test_what_no_label_stands_for_is_not_taken_for_another(text: str) -> None:
    [question] = understand(text)
    assert [name.label for name in question.asked] == [None]


def test_no_judged_question_is_learnt_from() -> None:
    judged, source = held_out_questions(), questions(Random(7))
    assert len(judged) > 500
    for _ in range(400):
        question = next(source)
        assert len(question.words) == len(question.roles) == len(question.sounds) == len(question.begins)
        assert all(0 <= role < len(ROLES) for role in question.roles)
        assert " ".join(word for word in question.words if word[:1].isalnum()) not in judged


def test_words_survive_typing() -> None:
    assert split("What\u2019s  THAT\u2026 at 1:30?") == ["what's", "that", ".", ".", ".", "at", "1:30", "?"]
