"""What was heard over all recordings, by label: for how long, how often, where first and last.

A fold over records: memory grows with labels and groups (hours, days, folders, files), not with records. The records
of one recording follow each other, as `sam` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any

from samcli.engine.inputs.recorded_at import Clock
from samcli.errors import UsageError
from samcli.records import Event, Record
from samcli.report.reading import events_of

WAYS = ("hour", "day", "folder", "file")
TIMED = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass
class Total:
    """One label in one group."""

    seconds: float = 0.0
    events: int = 0
    files: int = 0
    best: float = 0.0
    first: str = ""
    last: str = ""
    first_key: tuple[float, int] = (float("inf"), 0)
    last_key: tuple[float, int] = (float("-inf"), 0)
    path: str | None = None  # that was counted last

    def add(self, event: Event, seconds: float, path: str, begins: bool) -> None:
        self.seconds += seconds
        self.events += begins
        self.files += path != self.path
        self.path = path
        self.best = max(self.best, event.score)

    def seen(self, key: tuple[float, int], when: str) -> None:
        if key < self.first_key:
            self.first_key, self.first = key, when
        if key > self.last_key:
            self.last_key, self.last = key, when


class Summary:
    """Feed records, then read `rows`."""

    def __init__(self, by: str | None = None, clock: Clock | None = None) -> None:
        if by is not None and by not in WAYS:
            raise UsageError(f"There is no --by {by!r}: choose {', '.join(WAYS)}.")
        self.by, self.clock = by, clock or Clock()
        self.totals: dict[tuple[str, str], Total] = {}
        self.heard: dict[str, float] = {}  # seconds that were recorded, by group
        self.files = self.failed = 0
        self._path: str | None = None
        self._number = 0

    def add_all(self, records: Iterable[Record]) -> Summary:
        for record in records:
            self.add(record)
        return self

    def add(self, record: Record) -> None:
        began = self._began(record)
        if record.path != self._path:
            self._path, self._number = record.path, self._number + 1
            self.files += 1
            self.failed += record.error is not None
            for group, seconds in self._spread(record, 0.0, record.duration or 0.0, began):
                self.heard[group] = self.heard.get(group, 0.0) + seconds
        for event in events_of(record):
            self._count(event, record, began)

    def rows(self) -> Iterator[dict[str, Any]]:
        """By group, then by falling seconds."""
        order = sorted(self.totals.items(), key=lambda item: (item[0][0], -item[1].seconds, item[0][1]))
        for (group, label), total in order:
            row: dict[str, Any] = {self.by: group} if self.by else {}
            share = total.seconds / self.heard[group] if self.heard.get(group) else None
            row |= {"label": label, "seconds": round(total.seconds, 3), "events": total.events, "files": total.files}
            row |= {"share": None if share is None else round(min(1.0, share), 6), "best": round(total.best, 4)}
            yield row | {"first": total.first, "last": total.last}

    def _began(self, record: Record) -> datetime | None:
        """When the recording of a record began."""
        if record.clock is not None and record.start is not None:
            try:
                return datetime.fromisoformat(record.clock) - timedelta(seconds=record.start)
            except (ValueError, OverflowError):
                raise UsageError(f"{record.path!r} has no time of day but {record.clock!r}.") from None
        return self.clock.start_of(record.path)

    def _count(self, event: Event, record: Record, began: datetime | None) -> None:
        begins = True
        for group, seconds in self._spread(record, event.start, event.end, began):
            total = self.totals.setdefault((group, event.label), Total())
            total.add(event, seconds, record.path, begins)
            begins = False
            if began is not None:
                moment = began + timedelta(seconds=event.start)
                total.seen((moment.timestamp(), 0), moment.isoformat(" ", "seconds"))
            else:
                total.seen((self._number, round(event.start * 1000)), f"{record.path} {clock_face(event.start)}")

    def _spread(self, record: Record, start: float, end: float, began: datetime | None) -> Iterator[tuple[str, float]]:
        """The groups a stretch of a recording falls into, and for how many seconds."""
        if self.by in (None, "folder", "file"):
            folder = str(PurePath(record.path).parent)
            yield {None: "", "folder": folder, "file": record.path}[self.by], end - start
            return
        if began is None:
            raise UsageError(
                f"Nothing says when {record.path!r} was recorded: give --start-time, "
                "or name it like 20260512_043000.wav."
            )
        assert self.by is not None
        yield from by_clock(began + timedelta(seconds=start), end - start, TIMED[self.by])


def by_clock(moment: datetime, seconds: float, step: timedelta) -> Iterator[tuple[str, float]]:
    """The hours or days that a stretch touches, with its seconds in each."""
    whole_day = step.days > 0
    left = seconds
    while True:
        begin = moment.replace(minute=0, second=0, microsecond=0)
        begin = begin.replace(hour=0) if whole_day else begin
        name = begin.strftime("%Y-%m-%d") if whole_day else begin.strftime("%Y-%m-%d %H:00")
        here = min(left, (begin + step - moment).total_seconds())
        yield name, here
        left -= here
        if left <= 0:
            return
        moment = begin + step


def clock_face(seconds: float) -> str:
    """0:03.2, 1:02:03"""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes < 60:
        return f"{minutes}:{rest // 10:02d}.{rest % 10}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}"
