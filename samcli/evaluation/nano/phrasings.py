"""Questions put in other ways: the suite's own in ten wordings each, and hand-written ones that nothing learnt from.

What is understood must not hang on how it is put. A question counts as understood when its intent is right and every
sound it names is the one that was meant, in its place; of two questions in one, both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from samcli.digest.names import members_of
from samcli.engine.hearing import Heard
from samcli.evaluation.figures import Figure
from samcli.evaluation.nano.dev_sounds import DevSounds
from samcli.evaluation.nano.quiz import Quiz, facts_of, reply
from samcli.evaluation.nano.targets import share_figure
from samcli.models.interface import SoundModel
from samcli.questions.meaning import Name, Question, understand
from samcli.tasks.composed import ComposedTask
from samcli.text.labels import labels
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


@dataclass(frozen=True)
class Expected:
    """One line of a set: for each part its intent and its sounds, each by the labels that will do."""

    text: str
    intents: tuple[str, ...]
    asked: tuple[tuple[frozenset[str], ...], ...]
    other: tuple[tuple[frozenset[str], ...], ...]


def questions(name: str) -> list[Expected]:
    lines = (files("samcli") / "evaluation" / "questions" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [_expected(line) for line in lines if line and not line.startswith("#")]


def phrasings() -> dict[str, list[str]]:
    """Ten other ways to put each kind of the suite's questions."""
    lines = (files("samcli") / "evaluation" / "questions" / "phrasings.tsv").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            kind, _, text = line.partition("\t")
            found.setdefault(kind, []).append(text)
    return found


def judged(
    name: str, read: Callable[[str], Sequence[Question]] = understand
) -> list[tuple[Expected, tuple[Question, ...], bool]]:
    """Each question of a set, what was made of it, and whether that is right."""
    found = []
    for expected in questions(name):
        made = tuple(read(expected.text))
        found.append((expected, made, right(expected, made)))
    return found


def right(expected: Expected, made: Sequence[Question]) -> bool:
    if tuple(question.intent for question in made) != expected.intents:
        return False
    return all(
        _same(asked, question.asked, other, question.other)
        for asked, other, question in zip(expected.asked, expected.other, made, strict=True)
    )


def _same(
    asked: Sequence[frozenset[str]], names: Sequence[Name], other: Sequence[frozenset[str]], others: Sequence[Name]
) -> bool:
    if other:
        return _fits(asked, names) and _fits(other, others)
    return _fits(asked, [*names, *others])  # with one kind of sound, its role tells nothing


def _fits(wanted: Sequence[frozenset[str]], names: Sequence[Name]) -> bool:
    """Whether the names are those wanted, in any order; a name that is said twice counts once."""
    found = list(dict.fromkeys(name.label for name in names))
    left = [{members_of(label) for label in one} for one in wanted]
    for label in found:
        # Labels of which the same is kept account are the same sound.
        fits = next((one for one in left if label is not None and members_of(label) in one), None)
        if fits is None:
            return False
        left.remove(fits)
    return not left


def _expected(line: str) -> Expected:
    intent, asked, other, text = line.split("\t")
    intents = tuple(intent.split("+"))
    parts = [_sounds(part) for part in asked.split("+")]
    parts += [()] * (len(intents) - len(parts))
    return Expected(text, intents, tuple(parts), (_sounds(other), *[()] * (len(intents) - 1)))


def _sounds(text: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(_label(name) for name in one.split("/") if _label(name)) for one in text.split("|") if one)


@lru_cache(maxsize=1024)
def _label(short: str) -> str:
    """The label whose name up to the first comma or bracket this is."""
    for label in labels():
        if short in (label, label.split(",")[0], label.split(" (")[0]):
            return label
    return ""
