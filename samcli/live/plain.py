"""A digest as plain values that JSON can carry, exactly, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from samcli.digest.course import Course
from samcli.digest.digest import Digest, Peaks
from samcli.digest.events import Account, Event
from samcli.digest.level import Bin, Level


def digest_values(digest: Digest | None) -> dict[str, Any] | None:
    if digest is None:
        return None
    best = None if digest.best is None else [float(score) for score in digest.best]  # float32 in float64: exact
    courses = [[row, course] for row, course in digest.courses.items()]
    peaks = None if digest.peaks is None else [column.tolist() for column in digest.peaks]
    return {**digest._asdict(), "best": best, "courses": courses, "peaks": peaks}  # JSON writes named tuples as lists


def digest_from(values: dict[str, Any] | None) -> Digest | None:
    if values is None:
        return None
    best = None if values["best"] is None else np.array(values["best"], np.float32)
    courses = {int(row): _course(course) for row, course in values["courses"]}
    span = int(values["start"]), int(values["end"])
    return Digest(*span, courses, best, int(values["heard"]), _level(values["level"]), _peaks(values.get("peaks")))


def _event(values: list[Any] | None) -> Event | None:
    return None if values is None else Event(*values)


def _events(values: list[list[Any]]) -> tuple[Event, ...]:
    return tuple(Event(*one) for one in values)


def _account(values: list[Any]) -> Account:
    number, total, first, last, plainest, longest, loudest, width, bins = values
    kept = (_events(first), _events(last), _events(plainest), _event(longest), _event(loudest))
    return Account(number, total, *kept, width, tuple((place, amount) for place, amount in bins))


def _course(values: list[Any]) -> Course:
    start, end, head, tail, first, account, last, best = values
    return Course(start, end, _event(head), _event(tail), _event(first), _account(account), _event(last), _event(best))


def _peaks(values: list[Any] | None) -> Peaks | None:
    return None if values is None else Peaks(np.array(values[0], np.float32), np.array(values[1], np.int64))


def _level(values: list[Any]) -> Level:
    width, bins, highest, at = values
    return Level(width, tuple((number, Bin(*one)) for number, one in bins), highest, at)
