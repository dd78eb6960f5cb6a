"""An answer, and the turns of phrase that it shares with captions: times, amounts and lists as people write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from samcli.answers.facts import Evidence, Facts, Sound
from samcli.questions.meaning import Question
from samcli.text.inflection import clock as clock_of
from samcli.text.inflection import number, times

HOUR = 3600

EXACT = 5  # times that a caption tells by their number
SEVERAL = 10  # times, from which there are many

how_many, often = number, times


def amount(sound: Sound) -> str:
    """How often, as captions have it: barks come in bouts, and how many there are in one is not known."""
    if sound.count <= EXACT and (sound.count < 2 or not sound.in_bouts):
        return often(sound.count)
    return "several times" if sound.count < SEVERAL else "many times"


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


def percent(share: float) -> str:
    if share >= 0.995:
        return "all of the time"
    if share < 0.01:
        return "less than 1 % of the time"
    return f"about {round(100 * share)} % of the time"


def _unit(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}" if count else ""


def listed(items: Sequence[str], word: str = "and") -> str:
    """ "a, b and c" """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def series(clauses: Sequence[str]) -> str:
    """ "a dog barks and rain falls"; clauses of which one has a comma, or more than two, are kept apart by commas"""
    if len(clauses) < 2:
        return "".join(clauses)
    apart = len(clauses) > 2 or any("," in clause for clause in clauses)
    return f"{', '.join(clauses[:-1])}{',' if apart else ''} and {clauses[-1]}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class Answer(NamedTuple):
    """One or more sentences, and the events that they rest on."""

    text: str
    evidence: tuple[Evidence, ...] = ()


Answerer = Callable[[Facts, Question], Answer]


def said(text: str, facts: Facts | None = None, *sounds: Sound | None) -> Answer:
    """A sentence with its evidence."""
    real = [sound for sound in sounds if sound is not None]
    evidence = facts.evidence(real) if facts is not None and real else ()
    text = capital(text.strip())
    return Answer(text if text.endswith((".", "!", "?")) else f"{text}.", evidence)
