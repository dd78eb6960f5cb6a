"""Times and amounts as people write them."""

from __future__ import annotations

from samcli.text.inflection import number, times
from samcli.text.paragraph import clock as clock_of

HOUR = 3600


def clock(milliseconds: int) -> str:
    """0:07, 12:40, 1:02:03; the second in which it lies."""
    return clock_of(milliseconds // 1000)


def between(start: int, end: int) -> str:
    """ "from 0:10 to 0:25", or "at 0:10" when that is all one second."""
    one, other = clock(start), clock(end)
    return f"at {one}" if one == other else f"from {one} to {other}"


def lasting(milliseconds: int) -> str:
    """ "2 seconds", "1 minute and 20 seconds", "1 hour and 5 minutes"."""
    if milliseconds < 1500:
        return "1 second" if milliseconds >= 750 else f"{max(0.1, milliseconds / 1000):.1f} seconds"
    if milliseconds < 10_000:
        seconds = milliseconds / 1000
        return f"{seconds:.1f} seconds" if round(10 * seconds) % 10 else f"{round(seconds)} seconds"
    seconds = round(milliseconds / 1000)
    hours, minutes, seconds = seconds // HOUR, seconds % HOUR // 60, seconds % 60
    if hours:
        parts = [_unit(hours, "hour"), _unit(minutes, "minute")]
    else:
        parts = [_unit(minutes, "minute"), _unit(seconds, "second")]
    return " and ".join(part for part in parts if part)


def often(count: int) -> str:
    """ "once", "twice", "three times", "23 times"."""
    return times(count)


def how_many(count: int) -> str:
    return number(count)


def percent(share: float) -> str:
    if share >= 0.995:
        return "all of the time"
    if share < 0.01:
        return "less than 1 % of the time"
    return f"about {round(100 * share)} % of the time"


def _unit(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}" if count else ""
