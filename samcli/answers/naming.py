"""The sounds that a question names: which they are in a recording, and what to say where one is missing."""

from __future__ import annotations

from collections.abc import Callable

from samcli.answers.facts import Facts, Sound
from samcli.answers.phrases import Answer, Answerer, capital, said
from samcli.questions.meaning import Name, Question
from samcli.text.sayings import saying

NO_SOUND_NAMED = "Please name the sound that you ask about."


def one_of(question: Question) -> Name | None:
    """The sound that is asked about, wherever the question has it."""
    return next(iter((*question.asked, *question.other)), None)


def named(question: Question) -> Name | Answer:
    """The sound that is asked about, or what to say where none is known."""
    return known(one_of(question))


def known(name: Name | None) -> Name | Answer:
    if name is None:
        return Answer(NO_SOUND_NAMED)
    return not_known(name) if name.label is None else name


def not_known(name: Name) -> Answer:
    return Answer(f'"{capital(name.words)}" is not among the sounds that can be recognised here.')


def sound_of(facts: Facts, name: Name, presumed: bool = False) -> Sound | None:
    """The sound by a name; where the label stands for more, only if none of the others is what was heard."""
    sound = facts.sound(name.label, presumed)
    return None if sound is not None and name.kind and sound.said.label != name.label else sound


def missing(name: Name) -> str:
    """ "no dog is heard", "no footsteps are heard" """
    if name.kind:
        return f"no {name.kind} is heard"
    own = saying(name.label or "")
    if own.noun.startswith(("someone ", "something ")):
        return f"{own.noun} is not heard"
    return f"no {own.bare} {'are' if own.nouns else 'is'} heard"


def by_name(facts: Facts, name: Name | None, presumed: bool = False) -> tuple[Sound | None, Answer]:
    one = known(name)
    if isinstance(one, Answer):
        return None, one
    sound = sound_of(facts, one, presumed)
    return sound, Answer("") if sound is not None else said(missing(one))


def found(facts: Facts, question: Question) -> tuple[Sound | None, Answer]:
    """The sound that is asked about, or what to say when there is none."""
    return by_name(facts, one_of(question))


def of_one(answer: Callable[[Facts, Sound], Answer]) -> Answerer:
    """An answer about the one sound that a question names; where there is none, that is the answer."""

    def answered(facts: Facts, question: Question) -> Answer:
        sound, nothing = found(facts, question)
        return nothing if sound is None else answer(facts, sound)

    return answered


def two_of(facts: Facts, question: Question, whose: str = "", presumed: bool = False) -> tuple[Sound, Sound] | Answer:
    """The two sounds that a question names, or what to say where one is missing."""
    names, sounds = (*question.asked, *question.other), list[Sound]()
    if len(names) < 2:
        return Answer(f"Please name the two sounds{whose}.")
    for name in names[:2]:
        sound, nothing = by_name(facts, name, presumed)
        if sound is None:
            return nothing
        sounds.append(sound)
    return sounds[0], sounds[1]
