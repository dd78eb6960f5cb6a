"""Cues as values, and the clocks they are written by."""

from __future__ import annotations

import re
from dataclasses import dataclass

TAG = re.compile(r"<[^<>\n]*>|\{[^{}\n]*\}")  # <i>, {\an8}
DESCRIBED = re.compile(r"^\W*[\[(♪#*（【]|♪")  # a line that tells a sound: [door slams], (laughs), ♪ music


@dataclass(frozen=True)
class Cue:
    """One piece of dialogue. Times are milliseconds."""

    start: int
    end: int
    lines: tuple[str, ...]  # as they are read, without marks of style

    @property
    def characters(self) -> int:
        return sum(map(len, self.lines))

    @property
    def describes(self) -> bool:
        """Whether it tells a sound already."""
        return any(DESCRIBED.search(line) for line in self.lines)


@dataclass(frozen=True)
class SoundCue:
    """One sound to be told: in a place of its own, or as a further line of the dialogue's cue `beside`."""

    start: int
    end: int
    text: str  # its lines
    beside: int | None = None  # number of that cue


def plain(text: str) -> str:
    """Text as it is read."""
    return TAG.sub("", text).strip()


def clock(milliseconds: int, point: str = ",") -> str:
    """01:02:03,004"""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{rest:03d}"


def ass_clock(milliseconds: int) -> str:
    """1:02:03.04: this format counts hundredths."""
    hundredths = round(milliseconds / 10)
    seconds, rest = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}.{rest:02d}"
