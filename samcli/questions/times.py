"""Times in a question: "at 1:30", "in the first minute", "between 0:20 and 0:40", "near the end"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "sixty": 60, "a": 1, "an": 1, "half": 0.5,
}  # fmt: skip
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "tenth": 10}
UNITS = {"second": 1.0, "sec": 1.0, "s": 1.0, "minute": 60.0, "min": 60.0, "m": 60.0, "hour": 3600.0, "h": 3600.0}
AROUND = 5.0  # seconds on both sides of a moment


class Span(NamedTuple):
    """A stretch of time in seconds; negative counts from the end, a share of all when `share`."""

    start: float
    end: float | None  # None: up to the end
    share: bool = False

    def within(self, duration: float) -> tuple[float, float]:
        """Its start and end in a recording of so many seconds."""
        scale = duration if self.share else 1.0
        start = self.start * scale
        end = duration if self.end is None else self.end * scale
        start, end = (duration + edge if edge < 0 else edge for edge in (start, end))
        return max(0.0, min(start, duration)), max(0.0, min(end, duration))


NUMBER = r"(?:\d+(?::\d+)+|\d+|" + "|".join(NUMBERS) + r")"
UNIT = r"(?:seconds?|secs?|minutes?|mins?|hours?|s|m|h)"
LEAD = r"(?:(second|minute|hour) )?"
CLOCK = r"\d+(?::\d+)+"
AMOUNT = re.compile(rf"({NUMBER}) ?({UNIT})?\b")
EDGE = rf"({NUMBER})(?: ({UNIT}))?"
BETWEEN = rf"(?:between|from) {LEAD}{EDGE} (?:and|to|until|till|-) (?:(?:second|minute|hour) )?{EDGE}"
MOMENT = rf"({CLOCK})|(?:at|around|about|after|by) (?:the )?({NUMBER}) ({UNIT})|({NUMBER}) ({UNIT}) (?:in|mark)"
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(BETWEEN), "between"),
    (re.compile(rf"({NUMBER}) - ({NUMBER})(?: ({UNIT}))?"), "dash"),
    (re.compile(rf"first (?:({NUMBER}) )?({UNIT})\b"), "opening"),
    (re.compile(rf"last (?:({NUMBER}) )?({UNIT})\b"), "closing"),
    (re.compile(r"(first|second) half|(?:first|last|final) (?:third|quarter)"), "part"),
    (re.compile(r"\b(?:middle|halfway)\b"), "middle"),
    (re.compile(r"near the end|towards the end"), "late"),
    (re.compile(rf"(?:before|until|up to) (\d+(?::\d+)+|{NUMBER} {UNIT})\b"), "before"),
    (re.compile(rf"after (\d+(?::\d+)+|{NUMBER} {UNIT})\b"), "after"),
    (re.compile(rf"\b(minute|hour) ({NUMBER})\b|\b(?:the )?({'|'.join(ORDINALS)}) (minute|hour)\b"), "numbered"),
    (re.compile(rf"\bsecond ({NUMBER})\b"), "second"),
    (re.compile(MOMENT), "moment"),
)  # fmt: skip


def span_of(words: Sequence[str]) -> Span | None:
    """The stretch of time that a question is about; None when it names none."""
    text = " ".join(words)
    for pattern, kind in PATTERNS:
        found = pattern.search(text)
        if found is not None:
            return _span(kind, found)
    return None


def _span(kind: str, found: re.Match[str]) -> Span | None:
    if kind == "between":
        lead, one, unit, other, second = found.groups()
        unit, second = unit or second or lead, second or unit or lead
        return _ordered(_seconds(one, unit), _seconds(other, second))
    if kind == "dash":
        return _ordered(_seconds(found[1], found[3]), _seconds(found[2], found[3])) if ":" in found[0] else None
    if kind == "opening":
        return Span(0.0, _seconds(found[1] or "1", found[2]))
    if kind == "closing":
        return Span(-_seconds(found[1] or "1", found[2]), None)
    if kind == "part":
        if found[1]:
            return Span(0.0, 0.5, True) if found[1] == "first" else Span(0.5, None, True)
        size = 1 / 3 if "third" in found[0] else 0.25
        return Span(0.0, size, True) if found[0].startswith("first") else Span(1 - size, None, True)
    if kind in ("middle", "late"):
        return Span(0.4, 0.6, True) if kind == "middle" else Span(0.85, None, True)
    if kind in ("before", "after"):
        at = _amount(found[1])
        return Span(0.0, at) if kind == "before" else Span(at, None)
    if kind == "numbered":
        unit = UNITS[found[1] or found[4]]
        number = float(NUMBERS.get(found[2], 0) or found[2]) if found[2] else float(ORDINALS[found[3]])
        if found[1]:  # "minute 3" is that from 3:00 on, as clocks show it
            return Span(number * unit, (number + 1) * unit)
        return Span((number - 1) * unit, number * unit)
    if kind == "second":
        return _moment(_seconds(found[1], "second"))
    return _moment(_seconds(found[1], None) if found[1] else _seconds(found[2] or found[4], found[3] or found[5]))


def _moment(at: float) -> Span:
    return Span(max(0.0, at - AROUND), at + AROUND)


def _ordered(one: float, other: float) -> Span:
    return Span(min(one, other), max(one, other))


def _amount(text: str) -> float:
    found = AMOUNT.match(text)
    assert found is not None
    return _seconds(found[1], found[2])


def _seconds(number: str, unit: str | None) -> float:
    if ":" in number:
        total = 0.0
        for part in number.split(":"):
            total = 60 * total + float(part)
        return total
    scale = UNITS.get((unit or "second").rstrip("s") or "s", 1.0)
    return float(NUMBERS.get(number, 0) or number) * scale
