"""A file of dialogue that is added to and never rewritten: every byte of its texts and times comes out as it went in.

It is kept as its own lines. Only the places where cues begin and end are found in it, so that others can be put between
them or beneath their text; what is not understood, such as styles, notes and positions, passes untouched. SubRip and
WebVTT are read here, ASS in `ass`. Bytes that are no UTF-8 pass as they are.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from samcli.errors import InputError
from samcli.writers.formats import clock

if TYPE_CHECKING:
    from typing_extensions import Self  # Python 3.10 has none

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


def ass_clock(milliseconds: int) -> str:
    """1:02:03.04: this format counts hundredths."""
    hundredths = round(milliseconds / 10)
    seconds, rest = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}.{rest:02d}"


TIMES = re.compile(
    r"^\s*(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})\s*-->\s*(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
)
LINE = re.compile(r"[^\n]*\n|[^\n]+")  # not splitlines, which would cut at a dozen other characters
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
MOST_BYTES = 64 << 20
MOST_CUES = 200_000


@dataclass(frozen=True)
class Block:
    """Where a cue lies among the lines: its number or name, its times, and behind its last line of text."""

    head: int
    times: int
    end: int


@dataclass(frozen=True)
class Lines:
    """A file of dialogue as its lines with their line ends."""

    format: str  # srt, vtt, ass or ssa
    lines: tuple[str, ...]
    encoding: str = "utf-8"
    mark: bytes = b""  # that opened the file

    @classmethod
    def of(cls, format: str, text: str, encoding: str = "utf-8", mark: bytes = b"") -> Self:
        return cls(format, tuple(LINE.findall(text)), encoding, mark)

    @property
    def line_end(self) -> str:
        return "\r\n" if self.lines and self.lines[0].endswith("\r\n") else "\n"

    @property
    def unicode(self) -> bool:
        """Whether all of it could be read, so that any sign may be added."""
        return not any("\udc80" <= sign <= "\udcff" for line in self.lines for sign in line)

    def to_bytes(self, text: str) -> bytes:
        return self.mark + text.encode(self.encoding, "surrogateescape" if self.encoding == "utf-8" else "strict")


@dataclass(frozen=True)
class Script(Lines):
    """SubRip or WebVTT."""

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        times = [place for place, line in enumerate(self.lines) if "-->" in line and TIMES.match(line)]
        if len(times) > MOST_CUES:
            raise InputError(f"A film has no {len(times):,} cues.", "not-subtitles")
        heads = [self._head(place, before) for before, place in zip([-1, *times], times, strict=False)]
        ends = [*heads, len(self.lines)][1:]
        return tuple(Block(head, at, self._text_end(at, end)) for head, at, end in zip(heads, times, ends, strict=True))

    def _head(self, times: int, before: int) -> int:
        """The line that names a cue stands above its times; in SubRip it is a number."""
        above = times - 1
        if above <= before or not self.lines[above].strip():
            return times
        named = self.format == "vtt" and (above == 0 or not self.lines[above - 1].strip())
        return above if named or self.lines[above].strip().isdecimal() else times

    def _text_end(self, times: int, limit: int) -> int:
        """SubRip's text may hold empty lines, WebVTT's ends at the first: notes and styles may follow."""
        end = limit
        if self.format == "vtt":
            return next((at for at in range(times + 1, limit) if not self.lines[at].strip()), limit)
        while end > times + 1 and not self.lines[end - 1].strip():
            end -= 1
        return end

    @cached_property
    def cues(self) -> tuple[Cue, ...]:
        found = []
        for block in self.blocks:
            match = TIMES.match(self.lines[block.times])
            assert match is not None
            start, end = _milliseconds(match.groups()[:4]), _milliseconds(match.groups()[4:])
            texts = (plain(line) for line in self.lines[block.times + 1 : block.end])
            found.append(Cue(start, end, tuple(text for text in texts if text)))
        return tuple(found)

    def with_sounds(self, sounds: Sequence[SoundCue]) -> str:
        """The text with sounds told in it; SubRip's cues are counted anew where they were counted."""
        between: dict[int, list[SoundCue]] = {}  # before which line
        beneath: dict[int, list[SoundCue]] = {}
        starts = [cue.start for cue in self.cues]
        for sound in sounds:
            if sound.beside is not None:
                beneath.setdefault(self.blocks[sound.beside].end, []).append(sound)
                continue
            later = next((at for at, start in enumerate(starts) if start > sound.start), None)
            place = len(self.lines) if later is None else self.blocks[later].head
            between.setdefault(place, []).append(sound)
        counted = self._numbers()
        written: list[str] = []
        count = 0
        for place in range(len(self.lines) + 1):
            for sound in beneath.get(place, ()):
                _end_line(written, self.line_end)
                written.append(sound.text + self.line_end)
            for sound in between.get(place, ()):
                self._end_block(written)
                count += 1
                written.extend(self._block(sound, count if counted is not None else None))
            if place == len(self.lines):
                break
            line = self.lines[place]
            if counted and place in counted:
                count += 1
                line = line.replace(line.strip(), str(count), 1)
            written.append(line)
        return "".join(written)

    def _numbers(self) -> frozenset[int] | None:
        """The lines with numbers, where every cue is counted; None where cues have none or names."""
        if self.format != "srt" or any(block.head == block.times for block in self.blocks):
            return None
        return frozenset(block.head for block in self.blocks)

    def _end_block(self, written: list[str]) -> None:
        _end_line(written, self.line_end)
        if written and written[-1].strip():
            written.append(self.line_end)

    def _block(self, sound: SoundCue, number: int | None) -> list[str]:
        point = "." if self.format == "vtt" else ","
        start, end = (clock(moment / 1000, point) for moment in (sound.start, sound.end))
        lines = [f"{start} --> {end}", *sound.text.split("\n"), ""]
        if number is not None:
            lines.insert(0, str(number))
        return [line + self.line_end for line in lines]


def _end_line(written: list[str], line_end: str) -> None:
    if written and not written[-1].endswith("\n"):
        written[-1] += line_end


def _milliseconds(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, fraction = parts
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    return 1000 * whole + int((fraction or "0").ljust(3, "0"))


def decoded(data: bytes) -> tuple[str, str, bytes]:
    """Text, encoding and opening mark of a file; what is no UTF-8 keeps its bytes as lone surrogates."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            rest = data.removeprefix(mark)
            try:
                return rest.decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict"), encoding, mark
            except UnicodeDecodeError:
                raise InputError("It says that it is UTF-16, and it is not.", "not-subtitles") from None
    return data.decode("utf-8", "surrogateescape"), "utf-8", b""
