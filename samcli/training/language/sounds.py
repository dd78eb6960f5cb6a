"""The kinds of sound that training knows, and the words people use for each.

A kind is one row of `samcli/data/labels/sounds.csv`: who makes the sound and what they do ("a dog > bark;yap"), nouns
for the sound itself, what is counted, whether it lasts, where it is typically heard, and which other kinds cannot be
ruled out when it is heard (`near`). Phrases name the sound and nothing else: no size, age, colour or place that the
sound does not tell.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from random import Random
from typing import NamedTuple

from samcli.text import inflection

# AudioSet names too wide to make two kinds the same sound: a flute is not a clarinet although both are wind
# instruments.
WIDE_NAMES = frozenset(
    {
        "Aircraft", "Animal", "Bell", "Bird", "Bird vocalization, bird call, bird song", "Bleat",
        "Bowed string instrument", "Brass instrument", "Burst, pop", "Buzz", "Chop", "Clang", "Creak", "Crowd",
        "Crying, sobbing", "Ding", "Domestic animals, pets", "Door", "Drum", "Emergency vehicle", "Fart", "Fowl",
        "Glass", "Growling", "Heavy engine (low frequency)", "Hiss", "Howl", "Hum", "Insect", "Keyboard (musical)",
        "Light engine (high frequency)", "Liquid", "Mallet percussion", "Mechanisms", "Motor vehicle (road)", "Music",
        "Musical instrument", "Noise", "Percussion", "Plucked string instrument", "Power tool", "Rail transport",
        "Singing", "Sound effect", "Speech", "Spray", "Squawk", "Squeak", "Tap", "Tearing", "Telephone", "Tools",
        "Vehicle", "Water", "Whale vocalization", "Wild animals", "Wind instrument, woodwind instrument", "Wood",
    }
)  # fmt: skip
CONFUSABLE_SHARE = 0.6  # of the absent sounds that are asked about
SHAPES = {"o": "once", "r": "bouts", "l": "lasting"}


class Noun(NamedTuple):
    """A noun phrase and whether it is plural."""

    text: str
    many: bool


class Saying(NamedTuple):
    """One doer and one deed in every form a sentence needs: "a dog" + "bark"."""

    subject: str
    many: bool
    base: str  # "bark"
    present: str  # "a dog barks"
    progressive: str  # "a dog is barking"
    ongoing: str  # "a dog barking"


@dataclass(frozen=True, eq=False)
class Kind:
    """A sound as people speak of it. Kinds are compared by identity: there is one object per name."""

    name: str
    labels: tuple[str, ...]  # labels of the corpus that it stands for
    audioset: tuple[str, ...]  # AudioSet names that hold, most specific first
    clauses: tuple[tuple[tuple[Noun, ...], tuple[str, ...]], ...]  # who -> does what, base form
    nouns: tuple[Noun, ...]  # the sound as a thing
    unit: str  # what is counted ("bark"); empty when it cannot be counted
    shape: str  # once: one short event; bouts: comes in goes; lasting: goes on
    places: tuple[str, ...]  # where it is typically heard
    group: str  # kinds of one group are easily confused
    near: frozenset[str]  # names of kinds that may be there too when this one is heard
    base: str  # the plainer kind that this one is a case of, or its own name

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return find_kind, (self.name,)

    def __repr__(self) -> str:
        return f"Kind({self.name})"

    @cached_property
    def sayings(self) -> tuple[Saying, ...]:
        return tuple(
            Saying(
                subject=who.text,
                many=who.many,
                base=deed,
                present=f"{who.text} {inflection.present(deed, who.many)}",
                progressive=f"{who.text} {inflection.progressive(deed, who.many)}",
                ongoing=f"{who.text} {inflection.ongoing(deed)}",
            )
            for subjects, deeds in self.clauses
            for deed in deeds
            for who in subjects
        )

    @cached_property
    def counted(self) -> str:
        """The plural of the unit: "barks", "knocks on a door"."""
        return inflection.plural(self.unit) if self.unit else ""

    @cached_property
    def heard(self) -> frozenset[str]:
        """Every label, of AudioSet and of the corpus, that holds when this kind is heard."""
        return frozenset((self.name, self.base, *self.labels, *self.audioset))

    @property
    def countable(self) -> bool:
        return bool(self.unit) and self.shape != "lasting"


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Kind]:
    """Every kind by name."""
    rows = {row["name"]: row for row in _rows() if not row["pattern"] or row["clauses"]}
    return {name: _kind(row, rows.get(row["base"], row)) for name, row in rows.items()}


def find_kind(name: str) -> Kind:
    return catalogue()[name]


@lru_cache(maxsize=65536)
def kind_of(label: str, title: str = "") -> Kind | None:
    """The kind a clip shows: by its label, made more exact by words of its title. None when the label tells nothing."""
    name = _labels().get(label)
    if name is None:
        return None
    lowered = title.lower()
    for pattern, narrower in _narrowings().get(name, ()):
        if pattern.search(lowered):
            name = narrower
            break
    return find_kind(name)


@lru_cache(maxsize=1024)
def kind_of_audioset(label: str) -> Kind | None:
    """The plainest kind whose most specific AudioSet name is this one; for clips that only the teacher has labelled."""
    for kind in catalogue().values():
        if kind.audioset[:1] == (label,) and kind.base == kind.name:
            return kind
    return None


@lru_cache(maxsize=65536)
def related(one: Kind, other: Kind) -> bool:
    """True when hearing `one` does not allow to say that `other` is absent."""
    if one is other or one.base == other.base:
        return True
    if other.name in one.near or one.name in other.near or other.base in one.near or one.base in other.near:
        return True
    if f"*{other.group}" in one.near or f"*{one.group}" in other.near:
        return True
    return any(name in other.audioset and name not in WIDE_NAMES for name in one.audioset)


@lru_cache(maxsize=1024)
def confusable(kind: Kind) -> tuple[Kind, ...]:
    """Kinds like this one that can be told apart from it."""
    alike = ALIKE.get(kind.base, frozenset())
    return tuple(
        other
        for other in catalogue().values()
        if (other.group == kind.group or other.name in alike)
        and other.base == other.name
        and other.group not in {"noise", ""}
        and not related(kind, other)
    )


def absent_kinds(
    present: Sequence[Kind], count: int, rng: Random, doubtful: frozenset[str] = frozenset()
) -> list[Kind]:
    """Kinds that are surely not heard: most of them confusable with one that is."""
    found: list[Kind] = []
    everything = askable()
    alike = [kind for one in present for kind in confusable(one)]
    for _ in range(60):
        if len(found) == count:
            break
        other = rng.choice(alike) if alike and rng.random() < CONFUSABLE_SHARE else rng.choice(everything)
        if other in found or not doubtful.isdisjoint(other.audioset[:2]):
            continue
        if not any(related(one, other) for one in present):
            found.append(other)
    return found


@lru_cache(maxsize=1)
def askable() -> tuple[Kind, ...]:
    """Kinds that one can say of whether they are heard: the plain ones, noises aside."""
    return tuple(kind for kind in catalogue().values() if kind.base == kind.name and kind.group not in {"noise", ""})


# Kinds of different groups that sound alike.
_ALIKE_SETS = (
    "rain applause frying fire static waves", "thunder explosion drum_roll kick_drum timpani airplane",
    "wind waves breathing jet static", "gunshot balloon fireworks door_slam whip slap clapping",
    "knock hammer footsteps woodblock woodpecker tom", "saw snoring pig frog", "baby_crying cat goat shout siren",
    "dog seal goose cough", "bird whistling flute train_whistle skid door_creak rodent",
    "helicopter washing_machine machine_gun drum_kit engine", "vacuum jet hair_dryer noise blender drill",
    "bee engine hum drone shaver chainsaw", "clock mouse_click keyboard drip camera",
    "bell phone glockenspiel alarm_clock triangle", "stream pouring toilet drinking bubbles",
    "monkey laughter bird children", "lion thunder engine motorcycle", "coins keys dishes glass_breaking",
    "paper fire tearing footsteps", "horse_walk footsteps keyboard woodblock", "snake air_brake can_opening static",
    "car_horn trumpet trombone goose air_horn", "cricket alarm beep phone", "owl pigeon ship_horn flute",
    "cow ship_horn trombone didgeridoo", "sneeze cough dog shout", "brushing_teeth saw keys shaker",
    "rooster baby_crying shout horse",
)  # fmt: skip
ALIKE: dict[str, frozenset[str]] = {}
for _names in _ALIKE_SETS:
    for _name in _names.split():
        ALIKE[_name] = ALIKE.get(_name, frozenset()) | frozenset(_names.split()) - {_name}


@lru_cache(maxsize=1)
def _rows() -> tuple[dict[str, str], ...]:
    table = files("samcli") / "data" / "labels" / "sounds.csv"
    return tuple(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


@lru_cache(maxsize=1)
def _labels() -> dict[str, str]:
    return {label: row["name"] for row in _rows() for label in row["labels"].split(";") if label}


@lru_cache(maxsize=1)
def _narrowings() -> dict[str, list[tuple[re.Pattern[str], str]]]:
    found: dict[str, list[tuple[re.Pattern[str], str]]] = {}
    for row in _rows():
        if row["pattern"]:
            found.setdefault(row["base"], []).append((re.compile(row["pattern"]), row["name"]))
    return found


def _kind(row: dict[str, str], base: dict[str, str]) -> Kind:
    def field(name: str) -> list[str]:
        return [item for item in (row[name] or base[name]).split(";") if item]

    return Kind(
        name=row["name"],
        labels=tuple(label for label in (row["labels"] or base["labels"]).split(";") if label),
        audioset=tuple(field("audioset")),
        clauses=tuple(_clause(clause) for clause in row["clauses"].split(" & ")),
        nouns=_nouns(row["nouns"]),
        unit=(row["unit"] or base["unit"]).strip("-"),
        shape=SHAPES[row["shape"] or base["shape"]],
        places=tuple(field("places")),
        group=row["group"] or base["group"],
        near=frozenset(base["near"].split(";") + row["near"].split(";")) - {""},
        base=row["base"] or row["name"],
    )


def _clause(text: str) -> tuple[tuple[Noun, ...], tuple[str, ...]]:
    who, _, deeds = text.partition(" > ")
    return _nouns(who), tuple(deeds.split(";"))


def _nouns(text: str) -> tuple[Noun, ...]:
    """A `+` after the head of a phrase marks a plural: "birds+ > sing", "drops+ of water > fall"."""
    return tuple(Noun(item.replace("+", ""), "+" in item) for item in text.split(";"))
