"""A question about a recording, answered from its facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from samcli.answers.captions import capital
from samcli.answers.facts import Evidence, Facts, Sound
from samcli.questions.meaning import Name, Question

MOST_EVIDENCE = 12


class Answer(NamedTuple):
    """One or more sentences, and the events that they rest on."""

    text: str
    evidence: tuple[Evidence, ...] = ()


Answerer = Callable[[Facts, Question], Answer]


def answer(facts: Facts, questions: tuple[Question, ...]) -> Answer:
    """All questions of one text, answered in turn; what was said once is not said again."""
    found = [answerers()[question.intent](facts, question) for question in questions]
    texts = list(dict.fromkeys(one.text for one in found))
    evidence = dict.fromkeys(event for one in found for event in one.evidence)
    ordered = sorted(list(evidence)[:MOST_EVIDENCE], key=lambda event: (event.start, event.label))
    return Answer(" ".join(texts), tuple(ordered))


def answerers() -> Mapping[str, Answerer]:
    from samcli.answers import amounts, moments, overview, presence

    return {**presence.ANSWERS, **moments.ANSWERS, **amounts.ANSWERS, **overview.ANSWERS}


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
    from samcli.text.sayings import saying

    assert name.label is not None
    own = saying(name.label)
    if own.noun.startswith(("someone ", "something ")):
        return f"{own.noun} is not heard"
    return f"no {own.bare} {'are' if own.nouns else 'is'} heard"


def one_of(question: Question) -> Name | None:
    """The sound that is asked about, wherever the question has it."""
    return next(iter((*question.asked, *question.other)), None)
