"""The parts that a caption is put together from: one sound said as a clause, as an ongoing thing or as a noun.

Which modifiers are said (how loud, how often, how long) follows from what the scene states; whether they are said,
and in which words, is drawn, but leaning on how loud the sound is. A model that always says what is likeliest would
tell every dog in one sentence if each sentence had the same chance for every dog. So the choice drifts with something
that can be heard and does not matter: the likeliest wording is another one for a sound that is a few decibels louder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from samcli.text import inflection
from samcli.training.language.scenes import FAINT_DB, LOUD_DB, QUIETER_DB, Event, Scene
from samcli.training.language.sounds import Kind, Saying

FAINTLY = ("faintly", "quietly", "softly", "in the distance", "far away", "very quietly", "barely audibly")
LOUDLY = ("loudly", "loudly", "very loudly", "at high volume")
BENEATH = ("quietly", "faintly", "more quietly", "softly", "in the background")
FAINT_ADJECTIVES = ("faint", "quiet", "soft", "distant")
LOUD_ADJECTIVES = ("loud", "loud", "very loud")
ALL_ALONG = ("continuously", "the whole time", "without a break", "throughout", "steadily", "from start to end")
FOR_A_MOMENT = ("briefly", "for a moment", "for a short time", "for a second")
OFTEN = ("many times", "again and again", "repeatedly", "over and over", "a number of times")
SEVERAL = ("several times", "a few times", "repeatedly")

# Decibels over which the wording runs through its choices once; unlike each other, so that the choices part company.
SAYING_PERIOD_DB, NOUN_PERIOD_DB, HOW_PERIOD_DB = 13.0, 9.0, 7.0
BRIEF_SECONDS = 1.2
WHOLE_SHARE = 0.85
Item = TypeVar("Item")

FREELY = 0.25  # share of choices that follow nothing
SPREAD = 0.12  # of the others: how far they stray, as a share of the list


@dataclass(frozen=True)
class Part:
    """One sound of a caption, with everything that will be said of it already chosen."""

    kind: Kind
    saying: Saying
    events: tuple[Event, ...]
    how: str  # " loudly", " twice", "" ...: follows the clause
    count: int | None
    loudness: str  # "faint", "loud" or ""
    again: bool  # heard before, with something else in between

    @property
    def start(self) -> float:
        return self.events[0].start

    @property
    def end(self) -> float:
        return max(event.end for event in self.events)

    def present(self) -> str:
        return self.saying.present + self.how

    def progressive(self) -> str:
        return self.saying.progressive + self.how

    def ongoing(self) -> str:
        return self.saying.ongoing + self.how

    def noun(self, rng: Random) -> tuple[str, bool]:
        """A noun phrase for the sound and whether it is plural."""
        if self.again:
            return self.saying.ongoing + " again", self.saying.many
        if self.count is not None and self.count > 1 and self.count < 8 and rng.random() < 0.7:
            return f"{inflection.number(self.count)} {self.kind.counted}", True
        if self.count == 1 and rng.random() < 0.3:
            return f"{rng.choice(('one', 'a single'))} {self.kind.unit}", False
        text, many = drift(self.kind.nouns, lean(self.events[0].level_db, NOUN_PERIOD_DB), rng)
        if self.loudness and rng.random() < 0.6:
            text = _with_adjective(text, rng.choice(FAINT_ADJECTIVES if self.loudness == "faint" else LOUD_ADJECTIVES))
        return text, many

    def thing(self, rng: Random) -> str:
        """The sound as what follows "with" or "followed by": a noun, or the doer at it."""
        return self.ongoing() if rng.random() < 0.55 else self.noun(rng)[0]


def parts_of(scene: Scene, rng: Random, limit: int = 4, plain: bool = False) -> list[Part]:
    """The scene's events as parts in the order they begin; neighbours of one kind are one part.

    When there are more than `limit`, the loudest are kept. With `plain`, no modifier is chosen.
    """
    groups: list[list[Event]] = []
    for event in scene.order:
        if event.kind.name == "silence":
            continue
        if groups and groups[-1][0].kind is event.kind:
            groups[-1].append(event)
        else:
            groups.append([event])
    if len(groups) > limit:
        kept = sorted(groups, key=lambda group: max(event.level_db for event in group), reverse=True)[:limit]
        groups = [group for group in groups if group in kept]
    sayings: dict[str, Saying] = {}
    parts = []
    for group in groups:
        kind = group[0].kind
        again = kind.name in sayings
        level = max(event.level_db for event in group)
        saying = sayings.setdefault(kind.name, drift(kind.sayings, lean(level, SAYING_PERIOD_DB), rng))
        count = _count(kind, group)
        loudness, how = ("", "") if plain else _modifiers(scene, kind, group, saying, count, rng)
        parts.append(Part(kind, saying, tuple(group), " again" if again else how, count, loudness, again))
    return parts


def background_part(scene: Scene, rng: Random) -> Part | None:
    """The background as a part, without modifiers: what is said of it depends on the sentence around it."""
    kind = scene.background
    if kind is None or kind.name == "silence":
        return None
    event = Event(kind, 0.0, scene.duration, scene.background_level_db)
    return Part(kind, rng.choice(kind.sayings), (event,), "", None, "", False)


def _count(kind: Kind, group: list[Event]) -> int | None:
    known = [event.repeats for event in group if event.repeats is not None]
    return sum(known) if kind.countable and len(known) == len(group) else None


def _modifiers(
    scene: Scene, kind: Kind, group: list[Event], saying: Saying, count: int | None, rng: Random
) -> tuple[str, str]:
    """How loud ("faint", "loud", "") and the words that follow the clause."""
    level = max(event.level_db for event in group)
    loudness = "faint" if level < FAINT_DB else "loud" if level > LOUD_DB else ""
    # A deed that tells its own manner ("breathes heavily", "ticks steadily") takes no second one.
    mannered = any(word in saying.base for word in ("ly", " away", " distance", " along", " on"))
    words = [] if mannered else _how_loud(scene, level, loudness, rng)
    if count is not None:
        words.extend(_how_often(count, level, rng))
    elif len(group) > 1 and kind.shape != "lasting":
        if rng.random() < 0.6:
            words.append(rng.choice(SEVERAL if len(group) > 2 else ("more than once", "again and again")))
    elif kind.shape == "lasting" and not mannered:
        words.extend(_how_long(scene, group, level, rng))
    return loudness, "".join(f" {word}" for word in words)


def _how_loud(scene: Scene, level: float, loudness: str, rng: Random) -> list[str]:
    loudest = scene.loudest
    beneath = loudest is not None and loudest.level_db - level >= QUIETER_DB
    if loudness == "faint":
        return [drift(FAINTLY, lean(level, HOW_PERIOD_DB), rng)] if rng.random() < 0.7 else []
    if beneath:
        return [rng.choice(BENEATH)] if rng.random() < 0.6 else []
    return [drift(LOUDLY, lean(level, HOW_PERIOD_DB), rng)] if loudness == "loud" and rng.random() < 0.65 else []


def _how_long(scene: Scene, group: list[Event], level: float, rng: Random) -> list[str]:
    sounding = sum(event.duration for event in group)
    if sounding > WHOLE_SHARE * scene.duration and scene.duration > 3 and len(scene.events) == len(group):
        return [drift(ALL_ALONG, lean(level, HOW_PERIOD_DB), rng)] if rng.random() < 0.6 else []
    brief = sounding < BRIEF_SECONDS and rng.random() < 0.65
    return [drift(FOR_A_MOMENT, lean(level, HOW_PERIOD_DB), rng)] if brief else []


def _how_often(count: int, level: float, rng: Random) -> list[str]:
    if count == 1:  # worth a word, but not at every bark
        return ["once"] if rng.random() < 0.25 + 0.5 * (lean(level, HOW_PERIOD_DB) > 0.6) else []
    if rng.random() < 0.2:
        return []
    if count >= 6:
        return [rng.choice(OFTEN) if rng.random() < 0.6 else inflection.times(count)]
    if count >= 3 and rng.random() < 0.15:
        return [rng.choice(SEVERAL)]
    return [inflection.times(count) if count != 2 or rng.random() < 0.85 else "two times"]


def _with_adjective(noun: str, adjective: str) -> str:
    """`a dog bark` -> `a faint dog bark`. A possessor keeps its place: `a person's cough` stays as it is."""
    if "'s " in noun or adjective in noun:
        return noun
    for opening in ("a ", "an ", "the "):
        if noun.startswith(opening):
            rest = noun[len(opening) :]
            first = "the" if opening == "the " else inflection.article(adjective)
            return f"{first} {adjective} {rest}"
    return f"{adjective} {noun}"


def lean(level_db: float, period_db: float) -> float:
    """0 to 1 and back as the level goes up by two periods, without a leap."""
    return abs((level_db / period_db) % 2 - 1)


def drift(options: Sequence[Item], place: float, rng: Random) -> Item:
    """One of the options, mostly from around `place` (0: the first, 1: the last)."""
    if rng.random() < FREELY:
        return rng.choice(options)
    at = int((place + rng.gauss(0, SPREAD)) * len(options))
    return options[min(max(at, 0), len(options) - 1)]
