"""The AudioSet labels and everyday names for sounds, and whether a text names a sound.

`audioset.csv` holds the 527 labels in their official order, each with a plain noun phrase, the words that name it and
the wider labels it falls under. `everyday.csv` adds names that AudioSet lacks or words differently ("Washing
machine"). The word lists were written before anything was measured with them.

In the lists a word stands for all its forms ("bark": barks, barking, barked) and `/n` keeps it a noun ("fan", "fans").
A word after `~` names the label but is no claim of it when said: "a car" names a vehicle, "a hum" may be anything.
A word after `+` is the other way round: "a crowd" may be said where people laugh, but does not name laughter.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from samcli.text import inflection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TO_BE = frozenset(("is", "are", "was", "were", "be", "being", "been"))
# Words, and marks that no phrase reaches across.
WORD = re.compile(r"[a-z0-9&]+(?:[-'][a-z0-9]+)*|[,.;:?!]")

# Turns of phrase that hold a sound's word without naming a sound.
NEUTRAL = (
    "into a glass", "into a cup", "a glass of", "in the water", "on the water", "through the water", "into water",
    "under water", "through water", "with water", "on glass", "on a door", "in a pan", "on a road", "on the road",
    "on the shore", "on a tree", "through trees", "in the trees", "through leaves", "in leaves", "in dry leaves",
    "at a station", "in a station", "through a station", "on the phone", "on a phone line", "a telephone line",
    "a round of", "in a cafe", "in a restaurant", "wind instrument", "through the air", "with a ding",
    "on the tracks", "along the tracks", "full of hiss", "in the background", "noise in the recording", "flies by",
    "flies over", "fly by", "fly over", "flies overhead", "into something", "as busy", "on the telephone",
    "without a break", "on leaves", "on a car roof", "on a car", "shred paper", "shreds paper", "shredding paper",
)  # fmt: skip

# Words that so many things do that saying them is no claim of a certain source.
WEAK = inflection.word_set(
    "accelerate bang beat blast blaze blow boom bubble buzz call chime chirp clang clatter click clink crack "
    "crackle crash creak crunch cry ding drone drumming growl grunt hammering hiss hit horn howl hum idle idling "
    "jingle knock moan note patter play pluck rap rattle rev ring roar rub rumble rustle screech slap smack snap "
    "snarl snip sound squeak squeal tap thud thump tick tinkle wail whir"
)


class Mention(NamedTuple):
    """A word or phrase of a text that names a sound, and the labels it may stand for."""

    words: str
    labels: frozenset[str]


@dataclass(frozen=True)
class Label:
    """One name for a sound."""

    name: str
    phrase: str  # "a rooster crowing"
    words: tuple[str, ...]  # what names it, as written in the table
    broader: tuple[str, ...]  # wider labels
    mid: str = ""  # AudioSet's own key; empty for an everyday name


@lru_cache(maxsize=1)
def labels() -> tuple[str, ...]:
    """The 527 AudioSet names in their official order."""
    return tuple(label.name for label in _table().values() if label.mid)


def phrase(label: str) -> str:
    """A plain noun phrase for a label: "Crowing, cock-a-doodle-doo" -> "a rooster crowing"."""
    return _table()[label].phrase


def synonyms(label: str) -> tuple[str, ...]:
    """The words that name a label, in their plain form."""
    return tuple(_plain(word) for word in _table()[label].words if not word.startswith("+"))


def is_described(label: str) -> bool:
    """Whether the tables know this name."""
    return label in _table()


@lru_cache(maxsize=1024)
def broader(label: str) -> frozenset[str]:
    """Every wider label above this one: a poodle is a dog, a dog is an animal."""
    above: set[str] = set()
    waiting = list(_table()[label].broader)
    while waiting:
        name = waiting.pop()
        if name not in above:
            above.add(name)
            waiting.extend(_table()[name].broader)
    return frozenset(above)


@lru_cache(maxsize=1024)
def narrower(label: str) -> frozenset[str]:
    """Every label below this one."""
    return frozenset(name for name in _table() if label in broader(name))


def names_sound(text: str, label: str) -> bool:
    """True when the text names this sound in one of its words, in any form, at word boundaries."""
    words = _words(text)
    forms = _forms_of(label)
    longest = max(len(form) for form in forms)
    spans = (words[at : at + length] for at in range(len(words)) for length in range(1, longest + 1))
    return any(tuple(span) in forms for span in spans)


def mentions(text: str) -> list[Mention]:
    """Every sound that the text speaks of; the longest phrase wins ("bass drum", not "drum")."""
    words = _words(text)
    lexicon, longest = _lexicon()
    found = []
    at = 0
    while at < len(words):
        for length in range(min(longest, len(words) - at), 0, -1):
            span = tuple(words[at : at + length])
            if span in lexicon:
                if lexicon[span]:
                    found.append(Mention(" ".join(span), lexicon[span]))
                at += length
                break
        else:
            at += 1
    return found


def sounds_named(text: str) -> frozenset[str]:
    """All labels that a text may be speaking of."""
    return frozenset(label for mention in mentions(text) for label in mention.labels)


def unsupported(text: str, heard: frozenset[str] | set[str]) -> list[str]:
    """The sounds a text speaks of that are not among those heard: the invented ones, in the text's own words.

    A word is supported when any label it may stand for is heard, or a narrower label is: "an animal" where a dog
    is heard.
    """
    supported = set(heard)
    for label in heard:
        if label in _table():
            supported |= broader(label)
    return [mention.words for mention in mentions(text) if not supported & mention.labels]


def _words(text: str) -> list[str]:
    """The words in order, without the forms of "to be": "a man is speaking" and "a man speaking" name the same."""
    return [word for word in WORD.findall(text.lower().replace("\u2019", "'")) if word not in TO_BE]


def _plain(word: str) -> str:
    return word.lstrip("~+").removesuffix("/n")


@lru_cache(maxsize=1)
def _table() -> dict[str, Label]:
    folder = files("samcli") / "data" / "labels"
    table: dict[str, Label] = {}
    for name in ("audioset.csv", "everyday.csv"):
        for row in csv.DictReader((folder / name).read_text(encoding="utf-8").splitlines()):
            own = tuple(word for word in row["words"].split(";") if word)
            above = tuple(wider for wider in row["broader"].split(";") if wider)
            if row["name"] not in table:
                table[row["name"]] = Label(row["name"], row["phrase"], own, above, row.get("mid") or "")
    return table


@lru_cache(maxsize=1024)
def _forms_of(label: str) -> frozenset[tuple[str, ...]]:
    return frozenset(form for word in _table()[label].words if not word.startswith("+") for form in _forms(word))


@lru_cache(maxsize=1)
def _lexicon() -> tuple[dict[tuple[str, ...], frozenset[str]], int]:
    """From every form of every word to the labels it may stand for; neutral phrases stand for none."""
    found: dict[tuple[str, ...], set[str]] = {}
    for label in _table().values():
        for word in label.words:
            if not word.startswith("~") and _plain(word) not in WEAK:
                for form in _forms(word):
                    found.setdefault(form, set()).add(label.name)
    lexicon = {form: frozenset(names) for form, names in found.items()}
    lexicon |= {tuple(_words(turn)): frozenset() for turn in NEUTRAL}
    return lexicon, max(len(form) for form in lexicon)


@lru_cache(maxsize=8192)
def _forms(word: str) -> frozenset[tuple[str, ...]]:
    """All forms of a word, or of the first and the last word of a phrase."""
    plain = _words(_plain(word))
    noun_only = word.endswith("/n")
    if len(plain) == 1:
        return frozenset((form,) for form in _word_forms(plain[0], noun_only))
    openings = {plain[0]} if noun_only else _word_forms(plain[0], False)
    endings = _word_forms(plain[-1], noun_only)
    middle = tuple(plain[1:-1])
    return frozenset((opening, *middle, ending) for opening in openings for ending in endings)


def _word_forms(word: str, noun_only: bool) -> set[str]:
    forms = {word, inflection.plural(word), word + "'s"}
    if not noun_only:
        forms |= {inflection.third_person(word), inflection.gerund(word), inflection.participle(word)}
    return forms


FLOOR = 1e-3  # of a probability, so that one missing sound does not outweigh all others
UNKNOWN = 0.05  # for a sound that the head has no label for: it may be there


def columns_of(text: str, places: Mapping[str, int]) -> list[list[int]]:
    """For each sound that a text speaks of, the places of all labels it may stand for; none where there is no label."""
    found = []
    for sound in mentions(text):
        wanted = {name for label in sound.labels for name in (label, *narrower(label))}
        found.append(sorted(places[name] for name in wanted if name in places))
    return found


def agreement(text: str, probabilities: NDArray[np.float32], labels: Sequence[str]) -> float:
    """The mean logarithm of the probabilities of the sounds a text speaks of; the least for one that names none."""
    columns = columns_of(text, _places(tuple(labels)))
    if not columns:
        return math.log(FLOOR)
    chances = [float(probabilities[places].max()) if places else UNKNOWN for places in columns]
    return sum(math.log(max(FLOOR, chance)) for chance in chances) / len(chances)


@lru_cache(maxsize=4)
def _places(labels: tuple[str, ...]) -> dict[str, int]:
    return {label: place for place, label in enumerate(labels)}
