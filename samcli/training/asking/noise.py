"""What people put around a question, and what their fingers do to it."""

from __future__ import annotations

from random import Random

from samcli.training.asking.grammar import Question, write

BEFORE = [
    "please",
    "please tell me",
    "tell me",
    "can you tell me",
    "could you tell me",
    "could you please say",
    "hey",
    "hey ,",
    "hi ,",
    "hi !",
    "hello ,",
    "ok",
    "ok ,",
    "so",
    "so ,",
    "well ,",
    "and",
    "and ,",
    "now",
    "now ,",
    "um",
    "uh ,",
    "er ,",
    "listen carefully .",
    "listen carefully :",
    "please listen carefully and tell me",
    "listen to the recording .",
    "listen to this .",
    "listen :",
    "answer in one word .",
    "answer in one word :",
    "answer with yes or no :",
    "answer yes or no .",
    "answer briefly :",
    "be brief .",
    "short answer please .",
    "in one sentence :",
    "question :",
    "q :",
    "my question :",
    "i want to know",
    "i would like to know",
    "i'd like to know :",
    "i wonder ,",
    "just tell me",
    "just wondering ,",
    "quick question :",
    "do you know",
    "let me know",
    "say ,",
    "tell me ,",
    "for this recording :",
    "about this clip :",
    "in this recording ,",
    "in the clip ,",
    "in this audio ,",
    "regarding the audio :",
    "here is a recording .",
    "given this sound ,",
    "i have a question .",
    "dear computer ,",
    "sorry ,",
    "excuse me ,",
    "sir ,",
    "buddy ,",
    "one more thing :",
    "if possible , say",
    "keep it short .",
    "keep it simple :",
    "think step by step .",
    "you are an expert listener .",
    "use your ears :",
    "after listening ,",
    "based on the audio ,",
    "according to the recording ,",
    "honestly ,",
    "be honest :",
    "seriously ,",
    "guess :",
    "take a guess :",
    "first question :",
    "could you",
    "would you say",
    "if so ,",
    "and if so ,",
    "also ,",
]
AFTER = [
    "please",
    "please .",
    "pls",
    "plz",
    "thanks",
    "thanks !",
    ", thanks",
    ". thanks !",
    ". thank you !",
    "thank you",
    ", please",
    ". answer yes or no",
    ". answer with yes or no only",
    ". yes or no",
    ", yes or no",
    "( yes / no )",
    "yes or no only",
    ". one word please",
    ". one word",
    ". answer in one word",
    ". be brief",
    ". keep it short",
    ". short answer",
    ", briefly",
    ". give a short answer",
    "in one word",
    "in a word",
    ". answer in one sentence",
    ". don't explain",
    ". no explanation",
    ". just the answer",
    ". only the answer please",
    ", i wonder",
    ", do you know",
    ", can you tell me",
    ", could you tell me",
    ", can you say",
    ". tell me",
    "in this recording",
    "in the recording",
    "in this clip",
    "in this file",
    "in the audio",
    "in here",
    "here",
    "then",
    "now",
    "again",
    ". i am not sure",
    ". it is important",
    ". i can't tell",
    ". be honest",
    ". listen carefully",
    ". listen closely",
    ". take your time",
    "buddy",
    "mate",
    "sir",
    "dear",
    ". hurry",
    "asap",
    "if you can",
    ". answer with the letter",
    ". exact number please",
    ". give minutes and seconds",
    ". max two sentences",
    "! ! !",
    "? !",
    ". . .",
]
BETWEEN = [
    ", and",
    "and",
    "? and",
    ". and",
    "? if so ,",
    ". if so ,",
    "? if yes ,",
    ";",
    "?",
    ".",
    "? also ,",
    ". also ,",
    ", also",
    ", plus",
    "? then",
    ", and then",
    "? and also",
    ". then tell me",
    "? please also say",
    ", and if so ,",
    "?",
    ".",
    "and also",
    "& ",
]
KEYS = "qwertyuiop asdfghjkl zxcvbnm"
BY_ITSELF = ("refuse", "foreign", "help")
YES_NO = ("yes or no", "yes / no", "one word")


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
    between.add(rng.choice(BETWEEN))
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
        found.add(rng.choice(BEFORE))
        if rng.random() < 0.1:
            found.add(rng.choice(BEFORE))
    _extend(found, question)
    chance = rng.random()
    if chance < 0.4:
        found.add("?")
    elif chance < 0.48:
        found.add(rng.choice((".", "!", "? ?", ". . .", "?!")))
    if rng.random() < share:
        found.add(rng.choice(AFTER))
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
