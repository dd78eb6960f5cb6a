"""An answer, and the turns of phrase that answers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from samcli.answers.captions import capital
from samcli.answers.facts import Evidence, Facts, Sound
from samcli.questions.meaning import Name, Question
from samcli.text.sayings import saying


class Answer(NamedTuple):
    """One or more sentences, and the events that they rest on."""

    text: str
    evidence: tuple[Evidence, ...] = ()


Answerer = Callable[[Facts, Question], Answer]


def said(text: str, facts: Facts | None = None, *sounds: Sound | None) -> Answer:
    """A sentence with its evidence."""
    real = [sound for sound in sounds if sound is not None]
    evidence = facts.evidence(real) if facts is not None and real else ()
    text = capital(text.strip())
    return Answer(text if text.endswith((".", "!", "?")) else f"{text}.", evidence)


def not_known(name: Name) -> Answer:
    return Answer(f'"{capital(name.words)}" is not among the sounds that can be recognised here.')


def missing(name: Name) -> str:
    """ "no dog is heard", "no footsteps are heard" """
    assert name.label is not None
    own = saying(name.label)
    if own.noun.startswith(("someone ", "something ")):
        return f"{own.noun} is not heard"
    return f"no {own.bare} {'are' if own.nouns else 'is'} heard"


def one_of(question: Question) -> Name | None:
    """The sound that is asked about, wherever the question has it."""
    return next(iter((*question.asked, *question.other)), None)
