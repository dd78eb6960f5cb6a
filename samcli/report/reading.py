"""Records read back from what `sam` wrote (JSON Lines, JSON, CSV), one at a time; and the sounds they tell of."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from samcli.errors import UsageError
from samcli.records import SCHEMA, ErrorInfo, Event, Record
from samcli.writers.escape import unguarded_cell

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")
NUMBERS = ("start", "end", "duration", "covered")
TEXTS = ("caption", "question", "answer", "model", "revision", "warning", "clock", "transcript")

TASK_BY_KEY = {"caption": "caption", "question": "ask", "transcript": "transcribe"}


def is_records(path: str) -> bool:
    """Whether a path names a file of records, not a sound."""
    return Path(path).suffix.lower() in SUFFIXES and Path(path).is_file()


def are_records(paths: Sequence[str]) -> bool:
    """Whether paths name files of records; UsageError where only some of them do."""
    files = sum(map(is_records, paths))
    if 0 < files < len(paths):
        raise UsageError("Name recordings or files of records, not both.")
    return files > 0


def read_records(path: str | Path) -> Iterator[Record]:
    """The records of a file, as they stand in it; UsageError at what is none."""
    suffix = Path(path).suffix.lower()
    try:
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            if suffix == ".csv":
                yield from _from_table(csv.DictReader(file))
            elif suffix == ".json":
                yield from map(Record.from_dict, json.load(file))
            else:
                yield from (Record.from_dict(json.loads(line)) for line in file if line.strip())
    except (ValueError, TypeError, RecursionError, csv.Error) as error:
        raise UsageError(f"{str(path)!r} holds no records of sam: {str(error).rstrip('.')}.") from None
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from None


def events_of(record: Record) -> tuple[Event, ...]:
    """The sounds a record tells of: its tags while it lasts, or what its words rest on."""
    if record.tags is not None and record.start is not None and record.end is not None:
        return tuple(Event(tag.label, tag.score, record.start, record.end) for tag in record.tags)
    return record.evidence or ()


def _from_table(rows: csv.DictReader[str]) -> Iterator[Record]:
    """The records of a CSV table, whose tags stand a row each."""
    if "path" not in (rows.fieldnames or ()):
        raise ValueError("it has no column 'path'")
    held: Record | None = None
    for row in rows:
        record = _from_row({name: unguarded_cell(cell) for name, cell in row.items() if name and cell})
        if held is not None and held.tags and record.tags and replace(record, tags=held.tags) == held:
            held = replace(held, tags=(*held.tags, *record.tags))
            continue
        if held is not None:
            yield held
        held = record
    if held is not None:
        yield held


def _from_row(row: Mapping[str, str]) -> Record:
    values: dict[str, Any] = {"schema": SCHEMA, "path": row.get("path", ""), "version": row.get("version", "")}
    values |= {name: float(row[name]) for name in NUMBERS if name in row}
    values |= {name: row[name] for name in TEXTS if name in row}
    values["task"] = next((task for key, task in TASK_BY_KEY.items() if key in row), "tag")
    if "silent" in row:
        values["silent"] = row["silent"] == "true"
    if "label" in row:
        values["tags"] = [{"label": row["label"], "score": float(row.get("score", "0"))}]
    record = Record.from_dict(values)
    if "error_type" in row:
        return replace(record, error=ErrorInfo(row["error_type"], row.get("error_message", "")))
    return record
