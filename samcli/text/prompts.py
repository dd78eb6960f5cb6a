"""How the language model is addressed, the same in training and in use.

    [audio embeddings] <caption> text <eos>
    [audio embeddings] <ask> question <answer> answer <eos>

Questions are brought into one written form first, so that "Is there a dog?", "is there a dog" and a question with
typographic quotes are one and the same to the model.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from samcli.text.tokenizer import Tokenizer

# What people's keyboards and word processors put in the place of plain characters.
TYPOGRAPHIC = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u200b\u200e\u200f\ufeff\u00ad\u00bf\u00a1"),
        "\u2026": "...",
        "\u00a0": " ",
    }
)
OPTION = re.compile(r"(?:(?<=\s)|^)[(\[]?([a-h])[)\].:](?=\s|$)\s*")
OPTIONS_BREAK = re.compile(r"[,;]\s*(?=[a-h]\) )")
MOST_CHARACTERS = 600  # of a question: more than any question we train on, and a bound on what one costs


class Example(NamedTuple):
    """Tokens to learn from; the loss is taken on `tokens[answer_start:]`, the part that the model is to say."""

    tokens: list[int]
    answer_start: int


def normalise_question(question: str) -> str:
    """One written form: plain quotes and dashes, single spaces, lower case, options as `a) `, no final mark."""
    text = unicodedata.normalize("NFKC", question.translate(TYPOGRAPHIC)).translate(TYPOGRAPHIC)
    text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split()).lower()[:MOST_CHARACTERS]
    if "a" in text and re.search(r"(?:^|\s)[(\[]?b[)\].:]\s", text):
        text = OPTIONS_BREAK.sub(" ", OPTION.sub(r"\1) ", text))
    return text.rstrip("?!. ")


def caption_prompt(tokenizer: Tokenizer) -> list[int]:
    """What follows the audio to ask for a caption."""
    return [tokenizer.caption]


def question_prompt(tokenizer: Tokenizer, question: str) -> list[int]:
    """What follows the audio to ask a question, in whatever form a person has typed it."""
    return [tokenizer.ask, *tokenizer.encode(normalise_question(question)), tokenizer.answer]


def caption_example(tokenizer: Tokenizer, caption: str) -> Example:
    opening = caption_prompt(tokenizer)
    return Example([*opening, *tokenizer.encode(caption), tokenizer.eos], len(opening))


def question_example(tokenizer: Tokenizer, question: str, answer: str) -> Example:
    opening = question_prompt(tokenizer, question)
    return Example([*opening, *tokenizer.encode(answer), tokenizer.eos], len(opening))


def spoken(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The text that generated ids say: up to the first <eos>, in one line."""
    end = ids.index(tokenizer.eos) if tokenizer.eos in ids else len(ids)
    return " ".join(tokenizer.decode(ids[:end]).split())
