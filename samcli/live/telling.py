"""What a live ear tells, as one line each: a record, with what happened and when by the clock on the wall."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal, NamedTuple

from samcli.records import Record
from samcli.writers.json import to_json

Kind = Literal["begin", "end", "caption", "gap"]


class Told(NamedTuple):
    """Something that was heard, or that could not be."""

    kind: Kind
    number: int  # counts up from 1, across restarts that share a state: what is told twice has the same
    record: Record  # its times are seconds since the listening began
    time: float  # of the start, by the clock: seconds since 1970
    until: float | None  # of the end; None while it lasts

    @property
    def label(self) -> str | None:
        return self.record.tags[0].label if self.record.tags else None

    @property
    def score(self) -> float | None:
        return self.record.tags[0].score if self.record.tags else None

    def values(self) -> dict[str, Any]:
        """The record's keys and four more."""
        until = None if self.until is None else clock(self.until)
        own = {"event": self.kind, "number": self.number, "time": clock(self.time), "until": until}
        return {**json.loads(to_json(self.record)), **own}

    def line(self) -> str:
        return json.dumps(self.values(), ensure_ascii=False, allow_nan=False)


def clock(seconds: float) -> str:
    """A time of day with its date and its distance from Greenwich."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
