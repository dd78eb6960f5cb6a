"""An event of a timeline, before it is a record."""

from __future__ import annotations

from typing import NamedTuple

ROUNDING = 1e-6  # seconds: where a window starts must not decide how a limit met exactly is rounded


class Event(NamedTuple):
    """One label, heard from `start` to `end`."""

    start: float  # seconds
    end: float
    score: float  # of its best step
    position: int  # of the label
