"""A scene: what is heard, when, how loud, how often and in which place.

The mixer writes one for every mixture it makes, and captions and questions are written from it. A field that is not
known is None, never a guess: the language only speaks of what the scene states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from samcli.training.language.sounds import Kind

# How a level (RMS of the event while it sounds, dB below full scale) is spoken of.
FAINT_DB = -42.0
LOUD_DB = -15.0
# An event this much below the loudest one is "in the background" or "quiet" beside it.
QUIETER_DB = 10.0

# The acoustics and the recording faults that a mixer can produce and a listener can hear.
PLACES = ("small room", "large room", "hall", "tunnel")
QUALITIES = ("muffled", "thin", "noisy", "distorted", "low quality")

TOLERANCE = 0.05  # seconds that an event may reach past the end of its scene, for rounding


@dataclass(frozen=True)
class Event:
    """One sound, or the same sound several times in a row, from its first start to its last end."""

    kind: Kind
    start: float  # seconds
    end: float  # seconds
    level_db: float  # RMS while sounding, dB below full scale
    repeats: int | None = None  # how often it is heard; None: not known (a recording may hold several barks)
    title: str | None = None  # the recordist's words, when there are some

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0 <= self.start < self.end):
            raise ValueError(
                f"An event must start at 0 s or later and end after its start, not {self.start} to {self.end}."
            )
        if not math.isfinite(self.level_db):
            raise ValueError("The level of an event must be a finite number of dB.")
        if self.repeats is not None and self.repeats < 1:
            raise ValueError(f"A sound is heard at least once, not {self.repeats} times.")

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Scene:
    """Everything that is known to be heard in one recording."""

    duration: float  # seconds
    events: tuple[Event, ...] = ()
    background: Kind | None = None  # a lasting sound under everything
    background_level_db: float = -40.0
    place: str | None = None  # one of PLACES
    quality: str | None = None  # one of QUALITIES

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration) and self.duration > 0):
            raise ValueError(f"A scene lasts longer than 0 s, not {self.duration}.")
        late = [event for event in self.events if event.end > self.duration + TOLERANCE]
        if late:
            raise ValueError(
                f"{late[0].kind.name} ends at {late[0].end:.2f} s, after the scene's {self.duration:.2f} s."
            )
        if self.place is not None and self.place not in PLACES:
            raise ValueError(f"{self.place!r} is not one of the places: {', '.join(PLACES)}.")
        if self.quality is not None and self.quality not in QUALITIES:
            raise ValueError(f"{self.quality!r} is not one of the qualities: {', '.join(QUALITIES)}.")
        object.__setattr__(self, "events", tuple(self.events))

    @cached_property
    def order(self) -> tuple[Event, ...]:
        """The events as they begin."""
        return tuple(sorted(self.events, key=lambda event: (event.start, event.end)))

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds heard, in the order of their first start, the background last."""
        found = [event.kind for event in self.order]
        if self.background is not None:
            found.append(self.background)
        return tuple(dict.fromkeys(found))

    @cached_property
    def loudest(self) -> Event | None:
        return max(self.events, key=lambda event: event.level_db, default=None)

    @cached_property
    def silent(self) -> bool:
        return all(kind.name == "silence" for kind in self.kinds)

    def count(self, kind: Kind) -> int | None:
        """How often a kind is heard, or None when that is not known."""
        found = [event.repeats for event in self.events if event.kind is kind]
        known = [repeats for repeats in found if repeats is not None]
        return sum(known) if kind.countable and kind is not self.background and len(known) == len(found) else None

    def lead(self, event: Event) -> float:
        """Seconds of nothing before an event that comes first; 0 when something else is heard."""
        return event.start if self.background is None and event is self.order[0] else 0.0

    def tail(self, event: Event) -> float:
        """Seconds of nothing after an event that ends last; 0 when something else is heard."""
        last = max(self.events, key=lambda other: other.end)
        return self.duration - event.end if self.background is None and event is last else 0.0


def overlap(one: Event, other: Event) -> float:
    """Seconds that two events share."""
    return max(0.0, min(one.end, other.end) - max(one.start, other.start))


def together(one: Event, other: Event) -> bool:
    """True when the two are heard at the same time for most of the shorter one: "while", not "then"."""
    return overlap(one, other) > 0.5 * min(one.duration, other.duration)


def clearly_before(one: Event, other: Event) -> bool:
    """True when a listener would say that one comes first, without hesitation."""
    return other.start - one.start > 0.4 and overlap(one, other) < 0.5 * min(one.duration, other.duration)
