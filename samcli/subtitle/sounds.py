"""Which sounds of a film are told: those a viewer who cannot hear would miss, each under one name and at its start.

A tagger gives one sound many names, and a film holds much that is always there. Of names that hold at the same moments
the plainest stays; speech is left to the dialogue; a sound that goes on or comes again is told once, and again only
after it was away for a while.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from samcli.audio.waves import Levels
from samcli.digest.names import HEADINGS, SAYABLE, kin
from samcli.engine.task import Task, Window
from samcli.records import Record
from samcli.tasks.tag import Choice
from samcli.tasks.timeline import TimelineGatherer
from samcli.text.labels import narrower

LEAST_SCORE = 0.3  # in a film there are many moments to mishear
BESIDE = 0.6  # a further name for the same moments has to be so sure
SAME = 0.5  # of the briefer one's time, from which two names may be one sound
AWAY_SECONDS = 10.0  # after which a sound is told again
FAR_DB = 22.0  # below what is loud in the film
TENTHS = 10  # levels a second
# Sounds that a distance can be told of.
AFAR = ("Animal", "Vehicle", "Bell", "Alarm", "Thunderstorm", "Explosion", "Crowd", "Music", "Shout", "Screaming")


@dataclass(frozen=True)
class Sound:
    """One sound of a film, in seconds."""

    label: str
    start: float
    end: float
    score: float
    far: bool = False


@dataclass(frozen=True)
class FilmTask(Task):
    """The events of a film, and beside them how loud it was all along."""

    choice: Choice
    step_seconds: float
    levels: list[Levels] = field(default_factory=list, compare=False)
    name: str = "tag"
    wants_steps: bool = True

    def gatherer(self) -> FilmGatherer:
        return FilmGatherer(self.choice, self.step_seconds, self.levels)


class FilmGatherer(TimelineGatherer):
    """A timeline that keeps the levels of every tenth of a second."""

    def __init__(self, choice: Choice, step_seconds: float, levels: list[Levels]) -> None:
        super().__init__(choice, step_seconds)
        self.levels = levels

    def add(self, window: Window) -> None:
        super().add(window)
        if window.levels is not None:
            self.levels.append(window.levels)


def sounds_of(records: Sequence[Record], levels: Sequence[Levels]) -> list[Sound]:
    """The events of a film's records; those much softer than the film are far."""
    course = np.concatenate(levels) if levels else np.zeros(0)
    heard = course[course > -60.0]
    loud = float(np.percentile(heard, 95)) if heard.size else 0.0
    found = []
    for record in records:
        for tag in record.tags or ():
            start, end = record.start or 0.0, record.end or 0.0
            part = course[int(start * TENTHS) : max(int(start * TENTHS) + 1, round(end * TENTHS))]
            far = bool(part.size) and float(part.max()) < loud - FAR_DB and _carries(tag.label)
            found.append(Sound(tag.label, start, end, tag.score, far))
    return found


@lru_cache(maxsize=1024)
def _carries(label: str) -> bool:
    return any(label == top or label in narrower(top) for top in AFAR)


@lru_cache(maxsize=1)
def spoken() -> frozenset[str]:
    """What dialogue tells better."""
    return frozenset({"Speech", *narrower("Speech"), "Human voice"})


def is_music(label: str) -> bool:
    return label in _musical()


@lru_cache(maxsize=1)
def _musical() -> frozenset[str]:
    return frozenset({"Music", *narrower("Music"), *narrower("Musical instrument")})


def told(sounds: Sequence[Sound], *, asked: bool = False, away: float = AWAY_SECONDS) -> list[Sound]:
    """Those that are told, in order of time. Labels that were `asked` for are told whatever they are."""
    wanted = [sound for sound in sounds if asked or _tellable(sound)]
    return list(_once(sorted(_named(wanted), key=lambda sound: (sound.start, -sound.score)), away))


def _tellable(sound: Sound) -> bool:
    if sound.score < LEAST_SCORE or sound.label in spoken():
        return False
    return sound.label not in HEADINGS or sound.label in SAYABLE or is_music(sound.label)


def _named(sounds: Sequence[Sound]) -> list[Sound]:
    """One name for each sound: names of things before those of sorts, the surer first."""
    near: dict[int, list[Sound]] = {}  # what was kept, by every ten seconds it touches
    kept: list[Sound] = []
    for sound in sorted(sounds, key=lambda sound: (_vague(sound.label), -sound.score, sound.start)):
        places = range(int(sound.start // 10), int(sound.end // 10) + 1)
        others = list(dict.fromkeys(other for place in places for other in near.get(place, ())))
        if any(_one_sound(sound, other) for other in others):
            continue
        kept.append(sound)
        for place in places:
            near.setdefault(place, []).append(sound)
    return kept


def _vague(label: str) -> bool:
    return label in HEADINGS and not (is_music(label) and label != "Music" and label.endswith("music"))


def _one_sound(sound: Sound, other: Sound) -> bool:
    shared = min(sound.end, other.end) - max(sound.start, other.start)
    if shared <= 0:
        return False
    if kin(sound.label, other.label) or (is_music(sound.label) and is_music(other.label)):
        return True
    return shared >= SAME * min(sound.end - sound.start, other.end - other.start) and sound.score < BESIDE


def _once(sounds: Sequence[Sound], away: float) -> Iterator[Sound]:
    """Without what was heard a moment ago."""
    last: dict[str, float] = {}  # when each label was last heard
    for sound in sounds:
        family = [label for label in last if label == sound.label or kin(label, sound.label)]
        if is_music(sound.label):
            family += [label for label in last if is_music(label)]
        before = max((last[label] for label in family), default=None)
        if before is None or sound.start - before >= away:
            yield sound
        last[sound.label] = max(sound.end, last.get(sound.label, sound.end))


def shifted(sounds: Sequence[Sound], seconds: float) -> list[Sound]:
    """The same in a film whose sound begins so much later than its picture."""
    return [replace(sound, start=sound.start + seconds, end=sound.end + seconds) for sound in sounds]
