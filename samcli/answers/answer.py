"""A question about a recording, answered from its facts."""

from __future__ import annotations

from collections.abc import Mapping

from samcli.answers import amounts, moments, overview, presence
from samcli.answers.facts import Facts
from samcli.answers.reply import Answer, Answerer
from samcli.questions.meaning import Question

MOST_EVIDENCE = 12


def answer(facts: Facts, questions: tuple[Question, ...]) -> Answer:
    """All questions of one text, answered in turn; what was said once is not said again."""
    found = [answerers()[question.intent](facts, question) for question in questions]
    texts = list(dict.fromkeys(one.text for one in found))
    evidence = dict.fromkeys(event for one in found for event in one.evidence)
    ordered = sorted(list(evidence)[:MOST_EVIDENCE], key=lambda event: (event.start, event.label))
    return Answer(" ".join(texts), tuple(ordered))


def answerers() -> Mapping[str, Answerer]:
    """Who answers which intent."""
    return {**presence.ANSWERS, **moments.ANSWERS, **amounts.ANSWERS, **overview.ANSWERS}
