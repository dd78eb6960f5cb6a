"""What in a file of subtitles breaks the rules of a guide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from samcli.subtitle.cues import Cue
from samcli.subtitle.guides import Guide

ROUNDING = 10  # milliseconds: ASS counts hundredths


@dataclass(frozen=True)
class Breach:
    """One rule that one cue breaks."""

    start: int  # milliseconds
    end: int
    rule: str
    detail: str
    text: str


def breaches(cues: Sequence[Cue], guide: Guide, rate: float | None = None) -> list[Breach]:
    """In order of time."""
    found: list[Breach] = []
    previous: Cue | None = None
    for cue in sorted(cues, key=lambda cue: (cue.start, cue.end)):
        text = " / ".join(cue.lines)
        found += [Breach(cue.start, cue.end, rule, detail, text) for rule, detail in _alone(cue, guide)]
        if previous is not None:
            found += [
                Breach(cue.start, cue.end, rule, detail, text)
                for rule, detail in _after(cue, previous, guide.between(rate))
            ]
        if previous is None or cue.end > previous.end:
            previous = cue
    return found


def _alone(cue: Cue, guide: Guide) -> Iterator[tuple[str, str]]:
    seconds = (cue.end - cue.start) / 1000
    if cue.end <= cue.start:
        yield "order", "it ends before it begins"
        return
    if not cue.lines:
        yield "empty", "it says nothing"
        return
    if len(cue.lines) > guide.lines:
        yield "lines", f"{len(cue.lines)} lines, at most {guide.lines}"
    longest = max(map(len, cue.lines))
    if longest > guide.line:
        yield "line", f"{longest} characters, at most {guide.line}"
    if cue.end - cue.start < guide.shortest - ROUNDING:
        yield "short", f"{seconds:.2f} s, at least {guide.shortest / 1000:.2f}"
    if cue.end - cue.start > guide.longest + ROUNDING:
        yield "long", f"{seconds:.2f} s, at most {guide.longest / 1000:.2f}"
    speed = cue.characters / seconds
    if speed > guide.speed * 1.02:
        yield "speed", f"{speed:.1f} characters a second, at most {guide.speed:.0f}"


def _after(cue: Cue, previous: Cue, between: int) -> Iterator[tuple[str, str]]:
    pause = cue.start - previous.end
    if (cue.start, cue.end) == (previous.start, previous.end):
        return  # cues of one time stand above each other
    if pause < 0:
        yield "overlap", f"it begins {-pause / 1000:.2f} s before the last one ends"
    elif pause < between - ROUNDING:
        yield "gap", f"{pause} ms after the last one, at least {between}"
