"""The rules of subtitling that cues are made and checked by, as the guides of two large houses give them."""

from __future__ import annotations

from dataclasses import dataclass

from samcli.errors import UsageError


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
