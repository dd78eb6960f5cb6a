"""Subtitles of other programs, and the recordings that they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from samcli.errors import UsageError

if TYPE_CHECKING:
    from samcli.report.entry import Line

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")


class Transcripts:
    """Lines of one file, or of all files of a folder; a recording's has its name, with its suffix or without."""

    def __init__(self, place: Path | None) -> None:
        self.alone = False  # there is one recording only, whatever it is called
        self._lines = {file: lines_of(file) for file in files_of(place)} if place is not None else {}
        self._used: set[Path] = set()

    def of(self, path: str) -> list[Line]:
        """What is said in a recording."""
        recording = Path(path)
        every = self.alone and len(self._lines) == 1
        found = [file for file in self._lines if every or file.stem in (recording.name, recording.stem)]
        self._used.update(found)
        return [line for file in found for line in self._lines[file]]

    @property
    def unused(self) -> list[str]:
        """The files that no recording asked for."""
        return [str(file) for file in self._lines if file not in self._used]


def files_of(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"There are no subtitles ({', '.join(SUFFIXES)}) in {str(place)!r}.")
    return found


def lines_of(file: Path) -> list[Line]:
    """The cues of a file, each in one line."""
    from samcli.subtitle.making import read_script

    cues = read_script(str(file)).cues
    found = [(cue.start / 1000, max(cue.start, cue.end) / 1000, " ".join(cue.lines)) for cue in cues if cue.lines]
    if not found:
        raise UsageError(f"{str(file)!r} holds no lines with times.")
    return found
