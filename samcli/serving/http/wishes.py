"""What a request asks for, from strings that anybody may send: names, ranges and limits in one table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from samcli.engine.options import RunOptions
from samcli.serving.gate import RefusedError

LONGEST_TEXT = 2000  # characters of any wish
TASKS = {"caption": "caption", "tag": "tag", "ask": "ask", "events": "tag"}  # the last is a timeline


@dataclass(frozen=True)
class Wish:
    """One parameter: how it is read, and what it is in the page that describes it."""

    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    about: str
    tasks: tuple[str, ...] = ("caption", "tag", "ask", "events")


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not low <= int(text[:9]) <= high or len(text) > 9:
            raise ValueError
        return int(text)

    return read


def _labels(text: str) -> tuple[str, ...]:
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    return tuple(label.strip() for row in rows for label in row if label.strip())


def _threshold(text: str) -> float | str:
    return text if text == "auto" else _number(0, 1)(text)


def _words(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError
    return text.strip()


WISHES = {
    "question": Wish(
        _words, {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "pattern": r"^[ -~]*[!-~][ -~]*$"},
        "What to answer.", ("ask",),
    ),
    "top_k": Wish(
        _whole(1, 527), {"type": "integer", "minimum": 1, "maximum": 527},
        "At most so many tags.", ("tag", "events"),
    ),
    "threshold": Wish(
        _threshold, {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"const": "auto"}]},
        "Lowest score, or auto for each label's own.", ("tag", "events"),
    ),
    "labels": Wish(
        _labels, {"type": "string", "maxLength": LONGEST_TEXT, "example": "Dog,Siren"},
        "Only these, with commas between; one that holds a comma is quoted.", ("tag", "events"),
    ),
    "segment": Wish(
        _number(0.5, 3600), {"type": "number", "minimum": 0.5, "maximum": 3600},
        "A record for every so many seconds; a line comes when it is heard.", ("caption", "tag", "ask"),
    ),
}  # fmt: skip


def options_of(task: str, given: Mapping[str, str]) -> RunOptions:
    """The engine's settings, or a refusal that names what is wrong."""
    found: dict[str, Any] = {}
    for name, text in given.items():
        wish = WISHES.get(name)
        if wish is None or task not in wish.tasks:
            raise RefusedError(400, "parameter", f"{task} has no parameter {name[:50]!r}.")
        try:
            if len(text) > LONGEST_TEXT:
                raise ValueError
            found[name] = wish.read(text)
        except (ValueError, OverflowError, csv.Error):
            raise RefusedError(400, "parameter", f"{name!r} cannot be {text[:50]!r}. {wish.about}") from None
    if task == "ask" and "question" not in found:
        raise RefusedError(400, "parameter", "A question is missing: question=is there a dog?")
    return RunOptions(timeline=task == "events", **found)
