"""The same for ASS and SSA: sounds are events of their own, beside the dialogue's in its style.

Players of these formats move cues of the same time apart, so none is written into another's text, which may be moved
and coloured letter by letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from samcli.subtitle.script import Cue, Lines, SoundCue, ass_clock, plain

FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")
EMPTY = {"layer": "0", "marked": "Marked=0", "marginl": "0", "marginr": "0", "marginv": "0"}


@dataclass(frozen=True)
class AssScript(Lines):
    """ASS or SSA."""

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """What the columns of an event are called, in their order."""
        for line in self._events:
            if line.lower().startswith("format:"):
                return tuple(name.strip().lower() for name in line.partition(":")[2].split(","))
        return FIELDS

    @cached_property
    def _events(self) -> tuple[str, ...]:
        return () if self._opening is None else self.lines[self._opening :]

    @cached_property
    def _opening(self) -> int | None:
        return next((at for at, line in enumerate(self.lines) if line.strip().lower() == "[events]"), None)

    @cached_property
    def rows(self) -> tuple[dict[str, str], ...]:
        """The dialogue's events."""
        found = []
        for line in self._events:
            if line.startswith("Dialogue:"):
                values = line.rstrip("\r\n").partition(":")[2].lstrip(" ").split(",", len(self.fields) - 1)
                if len(values) == len(self.fields):
                    found.append(dict(zip(self.fields, values, strict=True)))
        return tuple(found)

    @cached_property
    def cues(self) -> tuple[Cue, ...]:
        found = []
        for row in self.rows:
            times = _milliseconds(row.get("start", "")), _milliseconds(row.get("end", ""))
            text = plain(row.get("text", "")).replace(r"\h", " ").replace(r"\n", r"\N")
            lines = tuple(line.strip() for line in text.split(r"\N") if line.strip())
            if None not in times:
                found.append(Cue(times[0] or 0, times[1] or 0, lines))
        return tuple(found)

    def with_sounds(self, sounds: Sequence[SoundCue]) -> str:
        """The text with sounds told behind its last event."""
        line_end = self.line_end
        lines = [*self.lines]
        last = max((at for at, line in enumerate(lines) if line.startswith("Dialogue:")), default=None)
        if last is None:
            if self._opening is None:
                lines.append(f"[Events]{line_end}Format: {', '.join(name.title() for name in FIELDS)}{line_end}")
            last = len(lines) - 1
        if lines and not lines[last].endswith("\n"):
            lines[last] += line_end
        told = [self._event(sound) + line_end for sound in sounds]
        return "".join([*lines[: last + 1], *told, *lines[last + 1 :]])

    @cached_property
    def style(self) -> str:
        """What most of the dialogue is written in."""
        used = Counter(row.get("style", "Default") for row in self.rows)
        return used.most_common(1)[0][0] if used else "Default"

    def _event(self, sound: SoundCue) -> str:
        own = {"start": ass_clock(sound.start), "end": ass_clock(sound.end), "style": self.style}
        own["text"] = sound.text.replace("\n", r"\N")
        return "Dialogue: " + ",".join((EMPTY | own).get(name, "") for name in self.fields)


def _milliseconds(text: str) -> int | None:
    parts = text.strip().replace(".", ":").split(":")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return None
    hours, minutes, seconds, fraction = parts
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, "0")[:3])
