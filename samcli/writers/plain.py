"""Plain text: exactly one line per record, so that line N belongs to input N."""

from __future__ import annotations

from samcli.records import Record
from samcli.writers.base import Format


class Plain(Format):
    name = "txt"
    suffixes = (".txt",)

    def record(self, record: Record) -> str:
        return " ".join((record.text or "").split()) + "\n"
