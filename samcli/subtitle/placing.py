"""Where sounds are told: in the gaps of the dialogue, or beneath a line of it that they fall upon.

A sound is told when it begins, never before. It needs a gap that is long enough to read it; where the dialogue leaves
none, it joins a cue that has a line and time to spare; failing that, it is told in the next gap while it still lasts.
What finds no place is left out and counted: the dialogue is never moved, cut or made to hurry.
"""

from __future__ import annotations

import bisect
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from samcli.subtitle.guides import Guide
from samcli.subtitle.script import Cue, SoundCue
from samcli.subtitle.sounds import Sound, is_music
from samcli.text.sayings import Saying, saying, without_article

STYLES = ("ongoing", "present", "brief", "capitals")
NOBODY = ("someone", "something", "nothing")  # where the sound itself says more than who makes it
FAR = "in the distance"
NOTE, NUMBER_SIGN = "♪", "#"  # the second in files that are no Unicode


def words_of(sound: Sound, style: str) -> str:
    """The words alone."""
    try:
        own = saying(sound.label)
    except KeyError:  # a label that tuning added
        return sound.label.lower()
    words = own.bare if is_music(sound.label) or style == "brief" else _deed(own, style)
    return f"{words} {FAR}" if sound.far else words


def _deed(own: Saying, style: str) -> str:
    if own.who.startswith(NOBODY) or " or " in own.deeds[0]:
        return own.bare
    return without_article(own.ongoing if style == "ongoing" else own.present)


def text_of(sounds: Sequence[Sound], style: str, guide: Guide, note: str = NOTE) -> str:
    """The lines of a cue that tells these sounds, each sound on a line of its own where both fit."""
    texts = list(dict.fromkeys(_marked(sound, style, note) for sound in sounds))
    lines = [line for text in texts for line in textwrap.wrap(text, guide.line, break_long_words=False)]
    return "\n".join(lines[: guide.lines])


def _marked(sound: Sound, style: str, note: str) -> str:
    words = words_of(sound, style)
    if style == "capitals":
        return words.upper()
    return f"[{note} {words}]" if is_music(sound.label) else f"[{words}]"


LATE = 1500  # milliseconds that a brief sound may be told late
TOLD_NEAR = 2000  # a sound that the dialogue describes itself so near is not told again


@dataclass
class Placing:
    """Puts sounds one by one, in order of time."""

    guide: Guide
    dialogue: Sequence[Cue]
    style: str
    rate: float | None = None  # frames a second, where there is a picture
    first: float = 0.0  # seconds at which its first frame stands
    ends: int | None = None  # of the film, in milliseconds
    note: str = NOTE
    joins: bool = True  # whether the format lets a line be added to a cue
    placed: list[SoundCue] = field(default_factory=list)
    left_out: list[Sound] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._between = self.guide.between(self.rate)
        self._order = sorted(range(len(self.dialogue)), key=lambda at: (self.dialogue[at].start, self.dialogue[at].end))
        self._starts = [self.dialogue[at].start for at in self._order]
        self._longest = max((cue.end - cue.start for cue in self.dialogue), default=0)
        self._full: set[int] = set()  # cues that a sound has joined
        self._free = 0  # when the last sound's cue is over

    def put(self, sounds: Sequence[Sound]) -> None:
        """All of them; those that begin together share a cue."""
        for group in together(sounds):
            if not self._put(group):
                alone = [sound for sound in group if len(group) == 1 or not self._put([sound])]
                self.left_out.extend(alone)
        self.placed.sort(key=lambda cue: (cue.start, cue.end))

    def _put(self, group: Sequence[Sound]) -> bool:
        start = self.frame(group[0].start)
        last = self.frame(max(sound.end for sound in group))
        if self._described(start):
            return True
        text = text_of(group, self.style, self.guide, self.note)
        need = self.guide.reading(len(text.replace("\n", "")))
        gap = self._gap(start)
        if gap is not None and gap[1] - gap[0] >= need and gap[0] <= max(start + LATE, last):
            return self._place(gap, need, last, text)
        if self._join(start, text, need):
            return True
        late = self._next_gap(start, need)
        if late is not None and late[0] <= max(start + LATE, last - self.guide.shortest):
            return self._place(late, need, last, text)
        return False

    def _place(self, gap: tuple[int, int], need: int, last: int, text: str) -> bool:
        """Seen while the sound lasts, as long as reading takes and no longer than a cue may stay."""
        start = gap[0]
        wanted = min(max(need, last - start), self.guide.shortest + need)
        end = min(self.up(start + wanted), gap[1], self.down(start + self.guide.longest))
        self.placed.append(SoundCue(start, end, text))
        self._free = end + self._between
        return True

    def _gap(self, moment: int) -> tuple[int, int] | None:
        """From this moment, or from where the last cue ends if that is soon, to the next cue; None amid dialogue."""
        begin = max(moment, self._free)
        if self._covering(begin):
            return None
        after = bisect.bisect_left(self._starts, begin)
        ended = [self.dialogue[at].end for at in self._near(begin) if self.dialogue[at].end <= begin]
        begin = max([begin, *(end + self._between for end in ended)])
        end = self._starts[after] - self._between if after < len(self._starts) else None
        if end is None:
            end = self.ends if self.ends is not None else begin + self.guide.longest
        begin, end = self.up(begin), self.down(end)
        return (begin, end) if end > begin else None

    def _next_gap(self, moment: int, need: int) -> tuple[int, int] | None:
        """The first gap behind the dialogue of this moment that is long enough."""
        for _ in range(4):
            over = [self.dialogue[at].end for at in self._covering(max(moment, self._free))]
            moment = max(over, default=max(moment, self._free)) + (self._between if over else 1)
            gap = self._gap(moment)
            if gap is not None and gap[1] - gap[0] >= need:
                return gap
            if gap is not None:
                moment = gap[1] + self._between
        return None

    def _join(self, moment: int, text: str, need: int) -> bool:
        """Beneath the dialogue of this moment, or of one that follows at once, if it has a line and time to spare."""
        if not self.joins:
            return self._beside(moment, text)
        after = bisect.bisect_left(self._starts, moment)
        soon = self._order[after : after + 1] if self._starts[after : after + 1] else []
        close = [at for at in soon if self.dialogue[at].start - moment <= LATE]
        for at in [*self._covering(moment), *close]:
            cue = self.dialogue[at]
            lines, characters = len(cue.lines) + text.count("\n") + 1, cue.characters + len(text)
            left = cue.end - max(cue.start, moment)
            readable = self.guide.reading(characters) <= cue.end - cue.start and left >= self.guide.shortest
            if at not in self._full and cue.lines and lines <= self.guide.lines and readable:
                self._full.add(at)
                self.placed.append(SoundCue(cue.start, cue.end, text, at))
                return True
        return False

    def _beside(self, moment: int, text: str) -> bool:
        """In a cue of its own with the times of the dialogue it falls upon."""
        for at in self._covering(moment):
            cue = self.dialogue[at]
            readable = self.guide.reading(cue.characters + len(text)) <= cue.end - cue.start
            if at not in self._full and readable and len(cue.lines) + text.count("\n") + 1 <= self.guide.lines:
                self._full.add(at)
                self.placed.append(SoundCue(cue.start, cue.end, text))
                return True
        return False

    def _described(self, moment: int) -> bool:
        near = [self.dialogue[at] for at in self._near(moment, TOLD_NEAR)]
        return any(cue.describes and cue.start - TOLD_NEAR <= moment <= cue.end + TOLD_NEAR for cue in near)

    def _covering(self, moment: int) -> list[int]:
        return [at for at in self._near(moment) if self.dialogue[at].start <= moment < self.dialogue[at].end]

    def _near(self, moment: int, reach: int = 0) -> list[int]:
        """The cues that may touch a moment: long ones may have begun well before."""
        first = bisect.bisect_left(self._starts, moment - self._longest - self._between - reach)
        return self._order[first : bisect.bisect_right(self._starts, moment + reach)]

    def frame(self, seconds: float) -> int:
        """The nearest frame's time in milliseconds; without a picture the nearest millisecond."""
        return self._time(round((seconds - self.first) * self.rate)) if self.rate else round(1000 * seconds)

    def up(self, milliseconds: int) -> int:
        """The next frame that begins no earlier."""
        return self._time(math.ceil(self._frames(milliseconds - 0.5))) if self.rate else milliseconds

    def down(self, milliseconds: int) -> int:
        """The last frame that begins no later."""
        return self._time(math.floor(self._frames(milliseconds + 0.5))) if self.rate else milliseconds

    def _frames(self, milliseconds: float) -> float:
        return (milliseconds / 1000 - self.first) * (self.rate or 1.0)

    def _time(self, frame: int) -> int:
        return max(0, round(1000 * (self.first + frame / (self.rate or 1.0))))


def together(sounds: Sequence[Sound], within: float = 0.75) -> list[list[Sound]]:
    """Sounds in groups of at most two that begin together."""
    groups: list[list[Sound]] = []
    for sound in sounds:
        if groups and len(groups[-1]) < 2 and sound.start - groups[-1][0].start <= within:
            groups[-1].append(sound)
        else:
            groups.append([sound])
    return groups
