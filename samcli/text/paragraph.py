"""A short paragraph made of what was said about the stretches of a long recording, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 10  # texts in a paragraph
MOST_TIMES = 3  # of one text


def paragraph(told: Sequence[tuple[float, str]]) -> tuple[str, int]:
    """Starts in seconds and texts, as one text in their order; and how many different texts it left out.

    "0:00, 2:10 A dog is barking. 0:30 Rain is falling." What is said several times is written once.
    """
    times: dict[str, list[float]] = {}
    last = None
    for start, text in told:
        if text != last:
            times.setdefault(text, []).append(start)
        last = text
    kept = _chosen(list(times), times)
    return " ".join(f"{_clocks(times[text])} {text}" for text in kept), len(times) - len(kept)


def _chosen(texts: list[str], times: dict[str, list[float]]) -> list[str]:
    """Those that are said most often; of those said equally often, some from everywhere."""
    if len(texts) <= MOST:
        return texts
    often = sorted((text for text in texts if len(times[text]) > 1), key=lambda text: -len(times[text]))[:MOST]
    once = [text for text in texts if len(times[text]) == 1]
    room = MOST - len(often)
    kept = {*often, *(once[place * len(once) // room] for place in range(min(room, len(once))))}
    return [text for text in texts if text in kept]


def _clocks(starts: Sequence[float]) -> str:
    more = ["..."] if len(starts) > MOST_TIMES else []
    return ", ".join([*map(clock, starts[:MOST_TIMES]), *more])


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
