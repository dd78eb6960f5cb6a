"""Questions about a recording, answered from its facts."""

from __future__ import annotations

from samcli.answers import amounts, moments, overview, presence
from samcli.answers.answer import Answer, Answerer
from samcli.answers.facts import Facts
from samcli.questions.meaning import Question

MOST_EVIDENCE = 12
ANSWERERS: dict[str, Answerer] = {**presence.ANSWERS, **moments.ANSWERS, **amounts.ANSWERS, **overview.ANSWERS}


def answer(facts: Facts, questions: tuple[Question, ...]) -> Answer:
    """All questions of one text, answered in turn; what was said once is not said again."""
    found = [ANSWERERS[question.intent](facts, question) for question in questions]
    texts = list(dict.fromkeys(one.text for one in found))
    evidence = dict.fromkeys(event for one in found for event in one.evidence)
    ordered = sorted(list(evidence)[:MOST_EVIDENCE], key=lambda event: (event.start, event.label))
    return Answer(" ".join(texts), tuple(ordered))
