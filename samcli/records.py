"""Records, schema 1: what `sam` knows about one stretch of sound.

Keys are always present and always in the same order; new keys may be added at the end, none ever leave. A record
holds plain values only, so that any format is a view of it and a line of JSON read back is the same record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from samcli._version import __version__

SCHEMA = 1
TASKS = ("caption", "tag", "ask")
AUTO = "auto"  # the threshold of each label that was measured with the model


@dataclass(frozen=True)
class Tag:
    """A label and how sure the model's head is of it."""

    label: str
    score: float  # 0 to 1, from the classifier head, never from generated text


@dataclass(frozen=True)
class Event:
    """A sound that a caption or an answer rests on, and when it was heard."""

    label: str
    score: float  # 0 to 1, from the classifier head
    start: float  # seconds
    end: float  # seconds


@dataclass(frozen=True)
class Word:
    """A word that was said, as far as its sound can be told from its neighbours'."""

    text: str
    start: float  # seconds
    end: float  # seconds


@dataclass(frozen=True)
class ErrorInfo:
    """Why an input gave no result."""

    type: str  # a short stable word: "empty", "not-audio", "truncated", ...
    message: str  # one sentence


@dataclass(frozen=True, kw_only=True)
class Record:
    """One result for one stretch of one recording."""

    schema: int = SCHEMA
    task: str
    path: str  # as the person gave it; bytes that are not UTF-8 are surrogate-escaped
    start: float | None = None  # seconds
    end: float | None = None  # seconds
    duration: float | None = None  # seconds the recording lasts, as far as it is known
    covered: float | None = None  # seconds that were really heard
    caption: str | None = None
    tags: tuple[Tag, ...] | None = None
    question: str | None = None
    answer: str | None = None
    silent: bool | None = None
    model: str | None = None
    revision: str | None = None
    version: str = __version__
    error: ErrorInfo | None = None
    warning: str | None = None
    evidence: tuple[Event, ...] | None = None  # of a caption or an answer, where it rests on events; at most a dozen
    threshold: float | str | None = None  # lowest score of a tag: one for all, or "auto" for each label's own
    clock: str | None = None  # when its start was, with the zone, where the recording's name or a person tells
    transcript: str | None = None  # what was said
    words: tuple[Word, ...] | None = None  # of the transcript

    def __post_init__(self) -> None:
        for name in ("start", "end", "duration", "covered"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be finite, not {value}")
        for tag in self.tags or ():
            if not math.isfinite(tag.score):
                raise ValueError(f"the score of {tag.label!r} must be finite, not {tag.score}")
        for word in self.words or ():
            if not (math.isfinite(word.start) and math.isfinite(word.end)):
                raise ValueError(f"the times of {word.text!r} must be finite")
        for event in self.evidence or ():
            if not all(math.isfinite(value) for value in (event.score, event.start, event.end)):
                raise ValueError(f"the evidence of {event.label!r} must be finite")
        if self.tags is not None and not isinstance(self.tags, tuple):
            object.__setattr__(self, "tags", tuple(self.tags))
        if self.evidence is not None and not isinstance(self.evidence, tuple):
            object.__setattr__(self, "evidence", tuple(self.evidence))

    @property
    def text(self) -> str | None:
        """Caption, answer, transcript, or labels joined by semicolons (labels hold commas), whatever the task."""
        if self.caption is not None:
            return self.caption
        if self.answer is not None:
            return self.answer
        if self.transcript is not None:
            return self.transcript
        if self.tags is not None:
            return "; ".join(tag.label for tag in self.tags)
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain values under every key, in the order of the schema."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.tags is not None:
            values["tags"] = [{"label": tag.label, "score": tag.score} for tag in self.tags]
        if self.evidence is not None:
            values["evidence"] = [asdict(event) for event in self.evidence]
        if self.words is not None:
            values["words"] = [asdict(word) for word in self.words]
        if self.error is not None:
            values["error"] = {"type": self.error.type, "message": self.error.message}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """The record a mapping describes. Keys of later versions are ignored; wrong ones raise ValueError."""
        if not isinstance(values, Mapping):
            raise ValueError("a record is a mapping")
        if values.get("schema") != SCHEMA:
            raise ValueError(f"a record of schema {SCHEMA} was expected, not {values.get('schema')!r}")
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        for name in ("task", "path", "version"):
            if not isinstance(known.get(name), str):
                raise ValueError(f"the key {name!r} must be text")
        for name in ("start", "end", "duration", "covered"):
            known[name] = _number(name, known.get(name))
        for name in ("caption", "question", "answer", "model", "revision", "warning", "clock", "transcript"):
            if not isinstance(known.get(name), str | None):
                raise ValueError(f"the key {name!r} must be text or null")
        if not isinstance(known.get("silent"), bool | None):
            raise ValueError("the key 'silent' must be true, false or null")
        if known.get("threshold") != AUTO:
            known["threshold"] = _number("threshold", known.get("threshold"))
        if known.get("tags") is not None:
            known["tags"] = tuple(_tag(tag) for tag in _sequence("tags", known["tags"]))
        if known.get("evidence") is not None:
            known["evidence"] = tuple(_event(event) for event in _sequence("evidence", known["evidence"]))
        if known.get("words") is not None:
            known["words"] = tuple(_word(word) for word in _sequence("words", known["words"]))
        if known.get("error") is not None:
            known["error"] = _error(known["error"])
        return cls(**known)


def _number(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"the key {name!r} must be a number or null")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"the key {name!r} must be finite") from None


def _sequence(name: str, value: object) -> Sequence[object]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"the key {name!r} must be a list or null")
    return value


def _tag(value: object) -> Tag:
    if not isinstance(value, Mapping) or not isinstance(value.get("label"), str):
        raise ValueError("a tag has a 'label' and a 'score'")
    score = _number("score", value.get("score"))
    if score is None:
        raise ValueError("a tag has a 'label' and a 'score'")
    return Tag(value["label"], score)


def _event(value: object) -> Event:
    if isinstance(value, Mapping) and isinstance(value.get("label"), str):
        score, start, end = (_number(name, value.get(name)) for name in ("score", "start", "end"))
        if score is not None and start is not None and end is not None:
            return Event(value["label"], score, start, end)
    raise ValueError("evidence has a 'label', a 'score', a 'start' and an 'end'")


def _word(value: object) -> Word:
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        start, end = (_number(name, value.get(name)) for name in ("start", "end"))
        if start is not None and end is not None:
            return Word(value["text"], start, end)
    raise ValueError("a word has a 'text', a 'start' and an 'end'")


def _error(value: object) -> ErrorInfo:
    if not isinstance(value, Mapping) or not all(isinstance(value.get(name), str) for name in ("type", "message")):
        raise ValueError("an error has a 'type' and a 'message'")
    return ErrorInfo(value["type"], value["message"])
