"""What people put around a question, and what their fingers do to it."""

from __future__ import annotations

from random import Random

from samcli.training.question_reader.grammar import Question, write
from samcli.training.question_reader.lists import sections

FILLERS = sections("fillers.txt")
KEYS = "qwertyuiop asdfghjkl zxcvbnm"
NEVER_JOINED = ("refuse", "foreign", "help")


def ask(intent: str, rng: Random) -> Question:
    """A question as it is typed: with what stands before and after it, and misspelt."""
    question = write(intent, rng)
    if intent != "foreign":
        question = around(question, rng)
    return typed(question, rng)


def ask_two(first: str, second: str, rng: Random) -> Question:
    """Two questions in one breath; the second may speak of the first one's sound as "it"."""
    one = write(first, rng)
    known = one.first.pronoun() if one.first is not None and rng.random() < 0.6 else None
    two = write(second, rng, known)
    between = Question(first)
    between.add(rng.choice(FILLERS["between"]))
    joined = Question(first)
    marks = [place for place, word in enumerate(between.words) if word in (".", "?", ";", ",")]
    start = marks[0] + 1 if marks else 0  # what follows the mark belongs to the second question
    for part in (one, between, two):
        _extend(joined, part)
    at = len(one.words) + start
    if at < len(joined.words):
        joined.begins[at] = 1
    return typed(around(joined, rng, 0.15), rng)


def around(question: Question, rng: Random, share: float = 0.4) -> Question:
    """With a phrase before or after it."""
    found = Question(question.intent, first=question.first)
    if rng.random() < share:
        found.add(rng.choice(FILLERS["before"]))
        if rng.random() < 0.1:
            found.add(rng.choice(FILLERS["before"]))
    _extend(found, question)
    chance = rng.random()
    if chance < 0.4:
        found.add("?")
    elif chance < 0.48:
        found.add(rng.choice((".", "!", "? ?", ". . .", "?!")))
    if rng.random() < share:
        found.add(rng.choice(FILLERS["after"]))
    return found


def typed(question: Question, rng: Random) -> Question:
    """With slips of the fingers in some of its words."""
    chance = rng.random()
    slips = 0 if chance < 0.72 else 1 if chance < 0.9 else 2
    for _ in range(slips):
        place = rng.randrange(len(question.words)) if question.words else 0
        if question.words and question.words[place].isalpha() and len(question.words[place]) > 3:
            question.words[place] = _slip(question.words[place], rng)
    if rng.random() < 0.2:
        question.words = [word.replace("'", "") if len(word) > 2 else word for word in question.words]
    return question


def _slip(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 0.35:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind < 0.6:
        return word[:at] + word[at + 1 :]
    if kind < 0.8:
        return word[:at] + word[at] + word[at:]
    row = next((row for row in KEYS.split() if word[at] in row), "aeiou")
    place = row.find(word[at])
    near = row[max(0, place - 1) : place + 2]
    return word[:at] + rng.choice(near) + word[at + 1 :]


def _extend(question: Question, other: Question) -> None:
    question.words += other.words
    question.roles += other.roles
    question.sounds += other.sounds
    question.begins += other.begins
