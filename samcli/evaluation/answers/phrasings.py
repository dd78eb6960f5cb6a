"""The suite's questions in ten other ways each: what is understood must not hang on how it is put."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from samcli.engine.hearing import Heard
from samcli.evaluation.answers.quiz import Quiz
from samcli.evaluation.answers.replies import facts_of, reply
from samcli.evaluation.figures import Figure
from samcli.evaluation.nano.dev_sounds import DevSounds
from samcli.evaluation.nano.targets import share_figure
from samcli.evaluation.question_reading import judged, phrasings
from samcli.models.interface import SoundModel
from samcli.tasks.composed import ComposedTask
from samcli.text.sayings import without_article

REFUSED = ("refuse", "foreign")
EVERY = 6  # clips of which one is asked about


def phrasing_figures(
    sounds: DevSounds, model: SoundModel, task: ComposedTask, heard: Sequence[Heard], quizzes: Sequence[Quiz | None]
) -> list[Figure]:
    """By how much the answers to the other ways are worse than those to the plain one, 0 to 1."""
    drops: dict[str, list[float]] = {"yes_no": [], "which": []}
    chosen = [(clip, one, sheet) for clip, one, sheet in zip(sounds.clips, heard, quizzes, strict=True) if sheet][
        ::EVERY
    ]
    for clip, one, sheet in chosen:
        if one.silent:
            continue
        facts = facts_of(task, one, clip.wave, model.sample_rate)
        for question in (sheet.present, sheet.absent):
            texts = [reply(facts, _put(way, question.thing)) for way in phrasings()["yes_no"]]
            plain = question.right(reply(facts, question.text))
            drops["yes_no"].append(plain - float(np.mean([question.right(text) for text in texts])))
        texts = [reply(facts, way.format(options=sheet.choice.lettered)) for way in phrasings()["which"]]
        plain = sheet.choice.right(reply(facts, sheet.choice.text))
        drops["which"].append(plain - float(np.mean([sheet.choice.right(text) for text in texts])))
    return [share_figure(f"phrasings_{kind}", found) for kind, found in drops.items()]


def _put(way: str, thing: str) -> str:
    """A sound in a sentence; at its beginning, or alone, without an article."""
    return way.format(thing=without_article(thing) if way.startswith("{thing}") else thing)


def asked_figures() -> tuple[list[Figure], list[dict[str, Any]]]:
    """How many questions of people's own are understood, and how many are refused, rightly and wrongly."""
    details = []
    figures = []
    for name, key in (("people", "asked_understood"), ("held", "asked_kept_back")):
        found = judged(name)
        figures.append(share_figure(key, [right for _, _, right in found]))
        details += [
            {"set": name, "question": expected.text, "right": right, "made": [question.intent for question in made]}
            for expected, made, right in found
        ]
        if name == "people":
            beyond = [(e, m) for e, m, _ in found if e.intents[0] in REFUSED]
            good = [m for e, m, _ in found if e.intents[0] not in REFUSED]
            figures.append(share_figure("asked_refused", [m[0].intent == e.intents[0] for e, m in beyond]))
            figures.append(share_figure("asked_wrongly_refused", [m[0].intent in REFUSED for m in good]))
    return figures, details
