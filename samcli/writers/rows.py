"""Rows that are no records (rankings, vectors) in the formats records have: JSON Lines, JSON, CSV, TSV, text.

The same promises hold: JSON holds every field under every key, CSV every field below a header, TSV the few that
matter, text one line a row; numbers are written the same in every locale.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from samcli.errors import UsageError
from samcli.writers.escape import guarded_cell, json_text, quoted_cell, tab_cell

FORMATS = ("jsonl", "json", "csv", "tsv", "txt")
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv"} | {
    ".txt": "txt"
}
DECIMALS = 6

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Columns:
    """What a row holds."""

    every: tuple[str, ...]  # in JSON and CSV, in this order
    few: tuple[str, ...]  # in TSV
    line: str  # in text


def format_named(name: str | None, file: str | None) -> str | None:
    """The format asked for by name, or by the suffix of a file; None when neither is given."""
    if name is not None:
        if name not in FORMATS:
            raise UsageError(f"There is no format {name!r} for this: choose {', '.join(FORMATS)}.")
        return name
    if file is None or file == "-":
        return None
    suffix = PurePath(file).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"The name {file!r} does not tell its format: end it in {', '.join(SUFFIXES)}.")
    return SUFFIXES[suffix]


def text_of(format: str, columns: Columns, rows: Iterable[Row], safe_cells: bool = True) -> str:
    """All rows, as the text of a whole file."""
    if format == "jsonl":
        return "".join(json_line(columns.every, row) + "\n" for row in rows)
    if format == "json":
        inside = ",\n".join(json_line(columns.every, row) for row in rows)
        return f"[\n{inside}\n]\n" if inside else "[]\n"
    if format == "csv":
        lines = [columns.every, *([cell(row.get(name)) for name in columns.every] for row in rows)]
        safe = ((guarded_cell(one) if safe_cells and not _number(one) else one for one in line) for line in lines)
        return "".join(",".join(map(quoted_cell, line)) + "\r\n" for line in safe)
    if format == "tsv":
        cells = ([tab_cell(cell(row.get(name))) for name in columns.few] for row in rows)
        return "".join("\t".join(line) + "\n" for line in cells)
    return "".join(" ".join(cell(row.get(columns.line)).split()) + "\n" for row in rows)


def json_line(names: Iterable[str], row: Row) -> str:
    """One row as strict JSON, without the line break."""
    values = {name: row.get(name) for name in names}
    plain = {key: round(value, DECIMALS) if isinstance(value, float) else value for key, value in values.items()}
    return json_text(json.dumps(plain, ensure_ascii=False, allow_nan=False))


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)


def _number(text: str) -> bool:
    """A negative score begins like a formula and is none."""
    try:
        float(text)
    except ValueError:
        return False
    return True
