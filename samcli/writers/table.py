"""CSV for spreadsheets, with every field; TSV for pipes, with the few that matter; text, exactly one line a record.

CSV follows RFC 4180: a header even without rows, lines end in CRLF, cells are quoted where they must be. A cell a
spreadsheet would run as a formula is written behind an apostrophe unless the layout says otherwise. TSV has no
header; tabs and line breaks in cells are written as backslash escapes. Both put undecodable bytes of file names back
as they were.
"""

from __future__ import annotations

from collections.abc import Iterator

from samcli.records import Record
from samcli.writers.base import Format, words_of
from samcli.writers.escape import guarded_cell, quoted_cell, tab_cell

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
