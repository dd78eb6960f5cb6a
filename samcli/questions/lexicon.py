"""Words to sounds: which of the labels a person means by "puppy", "lorry" or "someone's talking"."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import lru_cache

from samcli.text import inflection
from samcli.text.labels import WEAK, broader, labels, synonyms
from samcli.text.sayings import saying

# Who does it is less than what is done: "a person coughing" asks for a cough.
DOERS = frozenset(
    inflection.word_set(
        "person people man woman men women child kid boy girl guy lady human children kids boys girls voice voices "
        "male female dude father mother dad mom mum grandpa grandma hands adult adults somebody audience"
    )
)
# On what or with what it is done is less, too: "knocking on wood" asks for a knock.
PLACES = frozenset(
    inflection.word_set(
        "wood hand hands gravel snow floor track tracks cup door room road street ground leaf leaves can"
    )
)
# What so many things do that whoever does it is meant: "a wailing siren", "the hum of a vacuum cleaner".
GOING = frozenset(inflection.word_set("fly run wail pop crash break burn start open close pass hit fall turn go wash"))
# What no label stands for, spelt like what one does: a "hailing" is no whaling, a "snowing" no snoring.
UNHEARD = inflection.word_set("hail hails hailing hailstones hailstorm snow snows snowing snowfall sleet")
# Words narrower than the label they go by, which stands for many: an elephant is one of AudioSet's wild animals.
KINDS = inflection.word_set(
    "bear monkey ape gorilla elephant fox deer hyena badger jackal dingo viola tuba euphonium oboe bassoon recorder "
    "ocarina lute balalaika bongo conga djembe triangle dishwasher copier photocopier shredder robot elevator "
    "escalator tram trolley streetcar bulldozer excavator digger"
)
CLOSE = 0.82  # how alike a misspelt word and the one that is meant are


def find(words: Sequence[str]) -> tuple[str, ...]:
    """The sounds that a stretch of words names, the plainest first; empty when it names none we know."""
    plain = [word for word in words if word[:1].isalnum() and word not in STOPS]
    found: list[tuple[int, int, str]] = []  # place, words, label
    at = 0
    while at < len(plain):
        for size in range(min(LONGEST, len(plain) - at), 0, -1):
            label = lexicon().get(tuple(plain[at : at + size]))
            if label is not None:
                found.append((at, size, label))
                at += size
                break
        else:
            at += 1
    real = found
    for minor in (DOERS, PLACES, WEAK | GOING):
        real = [entry for entry in real if not (entry[1] == 1 and _among(plain[entry[0]], minor))] or real
    names = list(dict.fromkeys(label for _, _, label in sorted(real, key=lambda entry: (-entry[1], entry[0]))))
    return tuple(name for name in names if not any(name in broader(other) for other in names))


def kind_in(words: str) -> str:
    """The one word of `KINDS` among these, in the singular."""
    return next((form for word in words.split() if (form := _singulars().get(word.removesuffix("'s")))), "")


@lru_cache(maxsize=1)
def _singulars() -> dict[str, str]:
    return {form: word for word in KINDS for form in (word, inflection.plural(word))}


def _among(word: str, verbs: frozenset[str]) -> bool:
    """Whether a word is one of these in any form."""
    return word in _all_forms(verbs)


@lru_cache(maxsize=8)
def _all_forms(words: frozenset[str]) -> frozenset[str]:
    return frozenset(form for word in words for form in _forms(word, ""))


def alike(word: str) -> str | None:
    """The sound whose word is spelt most like this one."""
    if len(word) < 4:
        return None
    close = difflib.get_close_matches(word, _single_words(), n=1, cutoff=CLOSE)
    return lexicon()[(close[0],)] if close else None


LONGEST = 5
STOPS = frozenset(inflection.word_set("a an the any some of sound sounds noise noises is are was were being been be"))


@lru_cache(maxsize=1)
def lexicon() -> dict[tuple[str, ...], str]:
    """From every form of every word to its label: what people ask for first, then what texts may say of it."""
    found: dict[tuple[str, ...], str] = {}
    for label in labels():
        for word in saying(label).asked:
            for form in forms(word):
                found.setdefault(form, label)
    for label in labels():
        for word in (label, *synonyms(label)):
            for form in forms(word):
                found.setdefault(form, label)
    return found


@lru_cache(maxsize=1)
def _single_words() -> list[str]:
    return sorted(form[0] for form in lexicon() if len(form) == 1 and len(form[0]) >= 4)


def forms(word: str) -> frozenset[tuple[str, ...]]:
    """A word in every form, or a phrase with its first and last word in every form."""
    kind = word[-2:] if word.endswith(("/n", "/v")) else ""
    plain = word.removesuffix(kind).lower().replace(",", "").split()
    plain = [part for part in plain if part not in STOPS]
    if not plain:
        return frozenset()
    if len(plain) == 1:
        return frozenset((form,) for form in _forms(plain[0], kind))
    openings = {plain[0]} if kind == "/n" else _forms(plain[0], kind)
    middle = tuple(plain[1:-1])
    return frozenset((one, *middle, last) for one in openings for last in _forms(plain[-1], kind))


def _forms(word: str, kind: str) -> set[str]:
    found = {word}
    if kind != "/v":
        found |= {inflection.plural(word), word + "'s"}
    if kind != "/n":
        found |= {inflection.third_person(word), inflection.gerund(word), inflection.participle(word)}
    return found
