"""Every format of records: JSON Lines and JSON, CSV, TSV and text, and those made of times.

A format never touches a stream. It turns records into text one at a time, so that each can be written as soon as it
is made.

JSON is strict: no NaN, UTF-8, one object per line; a byte of a file name that is not UTF-8 is written as the escape
`\\udcXX`, which Python's `os.fsencode` turns back into that byte. CSV has every field and follows RFC 4180: a header
even without rows, lines end in CRLF, cells are quoted where they must be; a cell a spreadsheet would run as a formula
is written behind an apostrophe unless the layout says otherwise. TSV has the few fields that matter and no header; tabs
and line breaks in cells are backslash escapes. CSV and TSV put undecodable bytes of file names back as they were.
SubRip, WebVTT and Audacity's label track show one recording: the times of two would run over one another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import ClassVar

from samcli.errors import UsageError, check_choice
from samcli.records import Record
from samcli.writers.escape import guarded_cell, json_text, quoted_cell, tab_cell


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


DECIMALS = 6  # microseconds, and scores finer than float16 weights can tell apart


def to_json(record: Record) -> str:
    """One record as one line, without the line break."""
    values = record.to_dict()
    for name in ("start", "end", "duration", "covered"):
        values[name] = _rounded(values[name])
    for tag in values["tags"] or ():
        tag["score"] = _rounded(tag["score"])
    return json_text(json.dumps(values, ensure_ascii=False, allow_nan=False))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), DECIMALS)


class JsonLines(Format):
    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")

    def record(self, record: Record) -> str:
        return to_json(record) + "\n"


class Json(Format):
    name = "json"
    suffixes = (".json",)

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._separator = "\n"

    def header(self) -> str:
        return "["

    def record(self, record: Record) -> str:
        text = self._separator + to_json(record)
        self._separator = ",\n"
        return text

    def footer(self) -> str:
        return "\n]\n" if self._separator != "\n" else "]\n"


TEXT_COLUMNS = {
    "caption": ("caption",),
    "tag": ("label", "score"),
    "ask": ("question", "answer"),
    "transcribe": ("transcript",),
}
CSV_FIRST = ("path", "start", "end", "duration", "covered")
CSV_LAST = ("silent", "model", "revision", "version", "error_type", "error_message", "warning")
CSV_TAGS = ("threshold",)  # of tags alone


def columns(task: str) -> tuple[str, ...]:
    """The header of a CSV file: the fields of a record in the order of the schema."""
    return (*CSV_FIRST, *TEXT_COLUMNS[task], *CSV_LAST, *(CSV_TAGS if task == "tag" else ()), "clock")


def seconds(value: float | None) -> str:
    """Milliseconds are kept, trailing zeros are not; the point is a point in every locale."""
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def score(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def rows(record: Record) -> Iterator[dict[str, str]]:
    """One row per label for tags, one row otherwise. Without a label there is still a row: no input goes missing."""
    row = {name: seconds(getattr(record, name)) for name in ("start", "end", "duration", "covered")}
    row["path"] = record.path
    for name in ("caption", "question", "answer", "model", "revision", "version", "warning", "clock", "transcript"):
        row[name] = getattr(record, name) or ""
    row["threshold"] = "" if record.threshold is None else str(record.threshold)
    row["silent"] = "" if record.silent is None else str(record.silent).lower()
    row["error_type"] = record.error.type if record.error else ""
    row["error_message"] = record.error.message if record.error else ""
    for tag in record.tags or ():
        yield row | {"label": tag.label, "score": score(tag.score)}
    if not record.tags:
        yield row | {"label": "", "score": ""}


class Csv(Format):
    name = "csv"
    suffixes = (".csv",)

    def header(self) -> str:
        return self._line(columns(self.layout.task))

    def record(self, record: Record) -> str:
        names = columns(self.layout.task)
        return "".join(self._line(row[name] for name in names) for row in rows(record))

    def _line(self, cells: tuple[str, ...] | Iterator[str]) -> str:
        safe = (guarded_cell(cell) for cell in cells) if self.layout.safe_cells else cells
        return ",".join(quoted_cell(cell) for cell in safe) + "\r\n"


class Tsv(Format):
    """tag: path, label, score; the others: path, text. Stretches of a recording say when, after the path."""

    name = "tsv"
    suffixes = (".tsv", ".tab")

    def record(self, record: Record) -> str:
        times = ("start", "end") if self.layout.timed else ()
        texts = ("answer",) if self.layout.task == "ask" else TEXT_COLUMNS[self.layout.task]
        names = ("path", *times, *texts)
        said = {"caption": words_of(record), "answer": words_of(record)} if record.silent else {}
        return "".join("\t".join(tab_cell((row | said)[name]) for name in names) + "\n" for row in rows(record))


class Plain(Format):
    """Exactly one line per record, so that line N belongs to input N."""

    name = "txt"
    suffixes = (".txt",)

    def record(self, record: Record) -> str:
        return words_of(record) + "\n"


def clock(value: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds; hours grow beyond two digits when they must."""
    milliseconds = round(value * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


class Timed(Format):
    """Shared: which records make a cue, and what it says."""

    one_recording = True

    def record(self, record: Record) -> str:
        words = words_of(record)
        if not words or record.error or record.start is None or record.end is None or record.end <= record.start:
            return ""
        return self.cue(record.start, record.end, words)

    def cue(self, start: float, end: float, words: str) -> str:
        raise NotImplementedError


class SubRip(Timed):
    name = "srt"
    suffixes = (".srt",)
    subtitles = True

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._count = 0

    def cue(self, start: float, end: float, words: str) -> str:
        self._count += 1
        return f"{self._count}\n{clock(start, ',')} --> {clock(end, ',')}\n{words.replace('-->', '->')}\n\n"


class WebVtt(Timed):
    name = "vtt"
    suffixes = (".vtt",)
    subtitles = True

    def header(self) -> str:
        return "WEBVTT\n\n"

    def cue(self, start: float, end: float, words: str) -> str:
        escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"{clock(start, '.')} --> {clock(end, '.')}\n{escaped}\n\n"


class Audacity(Timed):
    name = "audacity"
    suffixes = (".audacity",)

    def cue(self, start: float, end: float, words: str) -> str:
        return f"{start:.6f}\t{end:.6f}\t{words}\n"


CLASSES: tuple[type[Format], ...] = (JsonLines, Json, Csv, Tsv, Plain, SubRip, WebVtt, Audacity)
FORMATS: dict[str, type[Format]] = {format.name: format for format in CLASSES}
BY_SUFFIX: dict[str, type[Format]] = {suffix: format for format in CLASSES for suffix in format.suffixes}


def format_of(name: str) -> type[Format]:
    """The format of this name."""
    check_choice("format", name, FORMATS)
    return FORMATS[name]


def format_of_file(path: str) -> type[Format]:
    """The format the suffix of a file asks for."""
    suffix = PurePath(path).suffix.lower()
    if suffix not in BY_SUFFIX:
        known = ", ".join(BY_SUFFIX)
        raise UsageError(f"The name {path!r} does not tell its format: end it in {known}, or give --format.")
    return BY_SUFFIX[suffix]
