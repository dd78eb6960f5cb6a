"""JSON Lines, the native form of a record, and JSON, one array of the same objects.

Strict JSON: no NaN, UTF-8, one object per line. A byte of a file name that is not UTF-8 is written as the escape
`\\udcXX`, which Python's `os.fsencode` turns back into that byte.
"""

from __future__ import annotations

import json

from samcli.records import Record
from samcli.writers.base import Format, Layout
from samcli.writers.escape import json_text

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
