"""The facts of a recording, computed from its digest.

A sound is heard when one of its labels was, in some window, at least as likely as `Sureness.heard` says; when it was
heard is told by its events. Sentences are made of nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from samcli.digest.digest import TENTH, Digest
from samcli.digest.events import Account, Event
from samcli.digest.names import HEADINGS, Rows, best_called
from samcli.text.sayings import LASTING, Saying, saying


@dataclass(frozen=True)
class Sureness:
    """From which probability on what is said; for each model its own."""

    heard: float = 0.05  # that it is there, when asked for
    plainly: float = 0.33  # that it is there for sure
    told: float = 0.33  # that it is told without being asked for
    told_long: float = 0.33  # the same of a long recording, in which there are more moments to mishear
    beside: float = 0.65  # that it is told beside another sound of the same moments
    beside_long: float = 0.69
    perhaps: float = 0.29  # that it is told as a guess, when nothing is sure
    beside_guess: float = 0.2  # the same of what is loud while nothing that is told is heard
    steps: float = 0.2  # per time step: that an event is open
    presumed: float = 0.006  # that it is there, where a question takes it for granted: "what comes after the dog?"


SINGLE = 900  # milliseconds that one bark, one knock or one meow takes at most
LONG = 30_000  # milliseconds from which a recording is long
MOST_EVIDENCE = 12  # events


@dataclass(frozen=True, eq=False)
class Sound:
    """One sound that was heard."""

    label: str  # as asked for, or as told
    said: Saying  # of the label that was plainest: a siren of an ambulance
    score: float
    account: Account
    duration: int  # of the recording, in milliseconds

    @property
    def named(self) -> Saying:
        """By the label that was asked for, where that is the name of a sound."""
        return self.said if self.label in HEADINGS else saying(self.label)

    @property
    def share(self) -> float:
        return min(1.0, self.account.total / max(1, self.duration))

    @property
    def count(self) -> int:
        return self.account.number

    @property
    def start(self) -> int:
        return self.account.first[0].start

    @property
    def end(self) -> int:
        return self.account.last[-1].end

    @property
    def level(self) -> float:
        """Of its loudest moment, in decibels of full scale."""
        return (self.account.loudest.level if self.account.loudest else -1000) / 10

    @property
    def lasts(self) -> bool:
        return self.said.shape == LASTING

    @property
    def in_bouts(self) -> bool:
        """Whether its events are too long for one bark or one knock each: their number is that of bouts."""
        return self.said.shape != LASTING and self.account.total > SINGLE * self.count


@dataclass(frozen=True)
class Evidence:
    """One event that an answer rests on, in seconds."""

    label: str
    score: float
    start: float
    end: float


class Facts:
    """What a digest tells, on request."""

    def __init__(self, digest: Digest, rows: Rows, sureness: Sureness | None = None) -> None:
        self.digest, self.rows = digest, rows
        self.sureness = sureness or Sureness()
        self.duration = digest.duration
        self.place = {label: row for row, label in enumerate(rows.labels)}

    @cached_property
    def accounts(self) -> dict[int, Account]:
        return self.digest.accounts()

    def chance(self, label: str) -> float:
        """How likely a sound is in its plainest window."""
        row = self.place.get(label)
        if row is None:
            return 0.0
        columns = self.rows.members[row]
        best = 0.0 if self.digest.best is None else float(self.digest.best[columns].max())
        account = self.accounts.get(row)
        if self.digest.best is None and account is not None:
            best = max(event.score for event in account.plainest)
        return best

    def sound(self, label: str | None, presumed: bool = False) -> Sound | None:
        """A sound that is asked for, or that a question takes for granted; None when it is not heard."""
        least = self.sureness.presumed if presumed else self.sureness.heard
        if label is None or label not in self.place or self.chance(label) < least:
            return None
        row = self.place[label]
        account = self.accounts.get(row)
        if account is None:
            account = self.guessed(row) or self.faintest(row)
        return None if account is None else self._sound(label, row, account)

    def guessed(self, row: int) -> Account | None:
        """Heard in a window, though plainly in no moment of it: the run that came nearest."""
        course = self.digest.courses.get(row)
        if course is None:
            return None
        nearest = course.nearest
        return None if nearest is None else Account.of(nearest)

    def faintest(self, row: int) -> Account | None:
        """In no moment even nearly heard: the one that is most like it."""
        if self.digest.peaks is None:
            return None
        columns = self.rows.members[row]
        member = int(columns[self.digest.peaks.scores[columns].argmax()])
        score, at = float(self.digest.peaks.scores[member]), int(self.digest.peaks.at[member])
        return Account.of(Event(at, at + TENTH, score / float(self.rows.thresholds[member]), score, member))

    def _sound(self, label: str, row: int, account: Account) -> Sound:
        return Sound(label, saying(self._plainest(label, row, account)), self.chance(label), account, self.duration)

    def _plainest(self, label: str, row: int, account: Account) -> str:
        """The label by which the sound is best called: a narrower one, when its moments are plainer."""
        members = self.rows.members[row]
        if self.digest.best is None:
            return self.rows.labels[account.plainest[0].member]
        scores = self.digest.best[members]
        return best_called(label, [self.rows.labels[place] for place in members], scores.tolist())

    def evidence(self, sounds: Sequence[Sound]) -> tuple[Evidence, ...]:
        """The plainest events of some sounds, in order of time."""
        each = max(1, MOST_EVIDENCE // max(1, len(sounds)))
        found: list[tuple[Event, str]] = []
        for sound in sounds[:MOST_EVIDENCE]:
            found += [(event, sound.said.label) for event in sound.account.plainest[:each]]
        found = sorted(found[:MOST_EVIDENCE], key=lambda item: (item[0].start, item[1]))
        return tuple(
            Evidence(label, round(event.score, 4), event.start / 1000, event.end / 1000) for event, label in found
        )


def overlap(one: Account, other: Account) -> float:
    """How much of the briefer sound's kept time lies within the other's, 0 to 1."""
    briefer, longer = sorted((one, other), key=lambda account: account.total)
    total = sum(event.length for event in briefer.events)
    shared = sum(max(0, min(a.end, b.end) - max(a.start, b.start)) for a in briefer.events for b in longer.events)
    return min(1.0, shared / max(1, total))


def kept_within(account: Account, start: int, end: int) -> list[Event]:
    """The kept events that reach into a stretch of time, in milliseconds."""
    return [event for event in account.events if event.start < end and event.end > start]


def amount_within(account: Account, start: int, end: int) -> int:
    """Milliseconds of a sound in a stretch of time, by its bins; by its events where all are kept."""
    if account.complete:
        return sum(min(event.end, end) - max(event.start, start) for event in kept_within(account, start, end))
    total = 0.0
    for place, amount in account.bins:
        low, high = place * account.width, (place + 1) * account.width
        total += amount * max(0, min(high, end) - max(low, start)) / account.width
    return round(total)
