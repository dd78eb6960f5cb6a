"""The rules of subtitling as the guides of two large houses give them, and what in a file of subtitles breaks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from samcli.errors import UsageError
from samcli.subtitle.script import Cue


@dataclass(frozen=True)
class Guide:
    """What a reader can bear. Times are milliseconds."""

    name: str
    line: int  # characters, at most
    speed: float  # characters a second, at most
    shortest: int  # a cue is seen at least so long
    longest: int
    gap: int  # between two cues, where the frames of the film are not known
    frames: int = 0  # between two cues, where they are
    lines: int = 2
    style: str = "ongoing"  # of sounds, unless asked for another

    def between(self, rate: float | None) -> int:
        """The pause between two cues, in a film of so many frames a second."""
        return max(self.gap, round(1000 * self.frames / rate)) if rate and self.frames else self.gap

    def reading(self, characters: int) -> int:
        """How long so many characters have to be seen."""
        return min(self.longest, max(self.shortest, round(1000 * characters / self.speed)))


GUIDES = {
    # English SDH for adults: 42 characters, 20 a second, 5/6 s to 7 s, two frames between cues.
    "netflix": Guide("netflix", line=42, speed=20.0, shortest=833, longest=7000, gap=80, frames=2),
    # 37 characters of teletext; 160 to 180 words a minute, which are 18 characters a second with their blanks; 0.3 s
    # for a word, so that a label of three words is seen for about a second. Cues may follow each other at once.
    "bbc": Guide("bbc", line=37, speed=18.0, shortest=900, longest=7000, gap=0, style="capitals"),
}


def guide_named(name: str) -> Guide:
    if name not in GUIDES:
        raise UsageError(f"There is no --guide {name!r}: choose {' or '.join(GUIDES)}.")
    return GUIDES[name]


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
