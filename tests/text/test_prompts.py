"""What the language model reads: one form of a question, one layout of a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.text import prompts
from samcli.text.prompts import MOST_CHARACTERS, normalise_question
from samcli.text.tokenizer import Tokenizer, train_tokenizer
from samcli.training.language.random_scenes import random_sentences


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(random_sentences(1500, seed=5), size=800)


@pytest.mark.parametrize(
    "typed",
    [
        "Is there a dog's bark?",
        "is there a dog's bark",
        "IS THERE A DOG\u2019S BARK ?",
        "  Is there\u00a0a \tdog\u2018s bark?!\n",
        "\u00bfIs there a dog`s bark\u2026",
        "\uff29s there a dog's bark\uff1f",  # full-width letters
        "Is there a\u200b dog's bark?",
    ],
)
def test_many_ways_to_type_it_are_one_question(typed: str) -> None:
    assert normalise_question(typed) == "is there a dog's bark"


@pytest.mark.parametrize(
    "typed",
    [
        "What is heard? a) a dog b) rain c) a siren",
        "What is heard? (A) a dog (B) rain (C) a siren",
        "What is heard? A. a dog, B. rain, C. a siren",
        "what is heard? [a] a dog; [b] rain; [c] a siren?",
    ],
)
def test_options_are_written_one_way(typed: str) -> None:
    assert normalise_question(typed) == "what is heard? a) a dog b) rain c) a siren"


def test_a_single_letter_is_no_option() -> None:
    assert normalise_question("Is it a dog or a cat?") == "is it a dog or a cat"
    assert normalise_question("Is this in C. major?") == "is this in c. major"


@given(st.text(max_size=900))
@settings(max_examples=300, deadline=None)
def test_the_form_is_final_plain_and_bounded(text: str) -> None:
    form = normalise_question(text)
    assert len(form) <= MOST_CHARACTERS
    assert form == form.strip() and "\n" not in form and "  " not in form
    assert normalise_question(form) == form


def test_the_grammar_asks_in_a_form_that_stays() -> None:
    for sentence in random_sentences(500, seed=4):
        form = normalise_question(sentence)
        assert normalise_question(form) == form


def test_the_layout(tokenizer: Tokenizer) -> None:
    assert prompts.caption_prompt(tokenizer) == [tokenizer.caption]
    question = prompts.question_prompt(tokenizer, "Is there a dog?")
    assert question == [tokenizer.ask, *tokenizer.encode("is there a dog"), tokenizer.answer]
    example = prompts.question_example(tokenizer, "Is there a dog?", "Yes.")
    assert example.tokens == [*question, *tokenizer.encode("Yes."), tokenizer.eos]
    assert example.answer_start == len(question)
    example = prompts.caption_example(tokenizer, "A dog barks.")
    assert example.tokens[0] == tokenizer.caption and example.tokens[-1] == tokenizer.eos
    assert prompts.spoken(tokenizer, [*example.tokens[1:], *tokenizer.encode("more")]) == "A dog barks."
