"""How well questions are understood: hand-written ones, none of which was learnt from.

A question counts as understood when its intent is right and every sound it names is the one that was meant, in its
place; of two questions in one, both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from samcli.digest.names import members_of
from samcli.questions.meaning import Name, Question, understand
from samcli.text.labels import labels


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
