"""What every format is: a name, suffixes, and three pieces of text.

A format never touches a stream. It turns records into text one at a time, so that each can be written as soon as it
is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from samcli.records import Record


@dataclass(frozen=True)
class Layout:
    """What is known before the first record, so that a header can be written even when none follows."""

    task: str  # caption, tag, ask or transcribe: it decides the columns
    timed: bool = False  # records are stretches of a recording, so narrow formats must say when
    safe_cells: bool = True  # CSV cells that a spreadsheet would run as a formula are defused


SILENCE = "Silence."


def words_of(record: Record) -> str:
    """What a person reads of a record: its text in one line. Of silence there is none, and it is said so."""
    silent = record.silent and record.task != "tag" and not record.text
    return SILENCE if silent else " ".join((record.text or "").split())


class Format:
    """A view of records as text."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    one_recording: ClassVar[bool] = False  # times alone tell the rows apart, so two recordings cannot share a file

    subtitles: ClassVar[bool] = False  # read while the sound plays: a line or two at a time

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def header(self) -> str:
        return ""

    def record(self, record: Record) -> str:
        raise NotImplementedError

    def footer(self) -> str:
        return ""
