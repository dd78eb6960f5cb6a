"""OpenAQA's questions and answers, read as they are published (arXiv 2305.10790): a JSON list or lines of objects.

    {"audio_id": "audio/LZq4.flac", "instruction": "What happens?", "input": "", "output": "A dog barks.", "task": ""}

`task` and `dataset` may be missing; `input`, what LTU-AS hears spoken, follows the instruction. The published list has
5.6 million items in 2.3 GB: it is read piece by piece, and every text is kept once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from samcli.engine.inputs.find import find_inputs
from samcli.errors import UsageError

Kind = Literal["classification", "caption", "closed", "open"]

PIECE = 2**20  # characters read at a time
LONGEST_ITEM = 2**24  # characters; more is no item but damage
PREFIX = re.compile(r"close[d]?-ended question:\s*", re.IGNORECASE)
CAPTION_ANSWER = re.compile(r"audio caption:\s*", re.IGNORECASE)
LABELS_ANSWER = re.compile(r"[^.:;]{1,60}: [^.:]+\Z")  # "Labels: Dog; Rain", as OpenAQA's classification answers


@dataclass
class Questions:
    """Every usable item, in columns."""

    ids: list[str] = field(default_factory=list)  # recordings, each once
    audio: list[int] = field(default_factory=list)  # of each item: the place in `ids`
    questions: list[str] = field(default_factory=list)  # "": a caption is asked for
    answers: list[str] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    blank: int = 0  # items left out because they have no answer

    def __len__(self) -> int:
        return len(self.audio)

    def of(self, *kinds: Kind) -> list[int]:
        """The items of these kinds."""
        return [number for number, kind in enumerate(self.kinds) if kind in kinds]


def read_questions(paths: Sequence[Path]) -> Questions:
    """All items of these files."""
    found = Questions()
    places: dict[str, int] = {}
    texts: dict[str, str] = {}
    for path in paths:
        for number, item in enumerate(read_objects(path), 1):
            audio, question, answer = _fields(item, path, number)
            if not answer:
                found.blank += 1
                continue
            place = places.setdefault(audio, len(places))
            if place == len(found.ids):
                found.ids.append(audio)
            found.audio.append(place)
            found.questions.append(texts.setdefault(question, question))
            found.answers.append(answer)
            found.kinds.append(kind_of(item, question, answer))
    if not found.audio:
        raise UsageError(f"There is no question with an answer in {', '.join(str(path) for path in paths)}.")
    return found


def _fields(item: Any, path: Path, number: int) -> tuple[str, str, str]:
    if not isinstance(item, dict):
        raise UsageError(f"Item {number} of {str(path)!r} is no object with audio_id, instruction and output.")
    texts = []
    for name in ("audio_id", "instruction", "output", "input"):
        value = item.get(name)
        if value is None and name == "input":
            value = ""
        if not isinstance(value, str):
            what = "has no" if value is None else "has something other than text as"
            raise UsageError(f"Item {number} of {str(path)!r} {what} {name!r}.")
        texts.append(value.strip())
    audio, instruction, output, more = texts
    if not audio:
        raise UsageError(f"Item {number} of {str(path)!r} names no recording: its 'audio_id' is empty.")
    return audio, f"{instruction} {more}".strip(), output


def kind_of(item: dict[str, Any], question: str, answer: str) -> Kind:
    """By the item's own `task`; without one by how it asks and answers."""
    task = str(item.get("task") or "").lower()
    if task.startswith("cla"):
        return "classification"
    if "open" in task:
        return "open"
    if CAPTION_ANSWER.match(answer) or "cap" in task or not question:
        return "caption"
    if task:
        return "closed"
    if not PREFIX.match(question):
        return "open"
    if re.search(r"\bcaption\b", question, re.IGNORECASE):
        return "caption"
    return "classification" if LABELS_ANSWER.match(answer) else "closed"


def read_objects(path: Path) -> Iterator[Any]:
    """The values of a JSON list, or of lines of JSON, one after the other."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            opening = ""
            while not opening.strip() and (more := file.read(PIECE)):
                opening += more
            opening = opening.lstrip()
            if opening.startswith("["):
                yield from _of_list(opening[1:], iter(lambda: file.read(PIECE), ""), path)
            else:
                yield from _of_lines(opening, file, path)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {(error.strerror or 'unknown cause').lower()}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{str(path)!r} is no JSON in UTF-8.") from None


def _of_list(text: str, pieces: Iterator[str], path: Path) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    at = count = 0
    while True:
        at = _beyond(text, at)
        if at < len(text) and text[at] == "]":
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError as error:
            more = next(pieces, "") if len(text) - at < LONGEST_ITEM else ""
            if not more:
                what = "ends in the middle" if at >= len(text) or len(text) - at < PIECE else "is damaged"
                why = f"{what} of item {count + 1}" if what.startswith("ends") else f"{what} at item {count + 1}"
                raise UsageError(f"The list in {str(path)!r} {why} ({str(error).split(':')[0].lower()}).") from None
            text, at = text[at:] + more, 0
            continue
        count += 1
        yield value


def _beyond(text: str, at: int) -> int:
    """Past blanks and commas."""
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _of_lines(opening: str, file: Iterable[str], path: Path) -> Iterator[Any]:
    def lines() -> Iterator[str]:
        head, last = opening, ""
        *whole, last = head.split("\n")
        yield from whole
        rest = iter(file)
        yield last + next(rest, "")
        yield from rest

    for number, line in enumerate(lines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                why = str(error).split(":")[0].lower()
                raise UsageError(f"Line {number} of {str(path)!r} is no JSON ({why}).") from None


def find_audio(ids: Sequence[str], beside: Sequence[Path], folder: Path | None) -> dict[str, str]:
    """Where the recordings are: as named, beside the questions, or in `folder` by any part of their path or their name
    (whatever the suffix: published lists name files that people store otherwise)."""
    roots = [*(path.parent for path in beside), *([folder] if folder else [])]
    names: dict[str, list[str]] = {}
    if folder is not None:
        for item in find_inputs([folder]):
            names.setdefault(Path(item.path).stem, []).append(item.path)
    found = {}
    for name in ids:
        plain = name.replace("\\", "/")
        places = [os.path.join(root, plain) for root in roots]  # noqa: PTH118 - a million of them
        place = next((place for place in [plain, *places] if os.path.isfile(place)), None)  # noqa: PTH113
        if place is None:
            place = _closest(plain, names.get(Path(plain).stem, []))
        if place is not None:
            found[name] = place
    return found


def _closest(name: str, places: Sequence[str]) -> str | None:
    """The one that shares most of the path's end; None when two share as much."""
    parts = Path(name).with_suffix("").parts[::-1]

    def shared(place: str) -> int:
        others = Path(place).with_suffix("").parts[::-1]
        return sum(1 for _ in _while_alike(parts, others))

    ranked = sorted(places, key=shared, reverse=True)
    if not ranked or (len(ranked) > 1 and shared(ranked[0]) == shared(ranked[1])):
        return None
    return ranked[0]


def _while_alike(one: Sequence[str], other: Sequence[str]) -> Iterator[str]:
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            return
        yield mine
