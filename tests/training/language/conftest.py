"""Shared by the tests of the words: which kind of sound a question or an answer speaks of."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from samcli.text.labels import names_sound, synonyms
from samcli.training.language import wording
from samcli.training.language.sounds import WIDE_NAMES, Kind, catalogue


@pytest.fixture(scope="session")
def names() -> Callable[[str, Kind], bool]:
    """Whether a text names a kind by one of the words of its labels."""
    known: dict[Kind, list[str]] = {}
    for kind in catalogue().values():
        known[kind] = []
        exact = [name for name in kind.audioset[:1] if name not in WIDE_NAMES | {"Engine"}]
        for name in (*kind.labels, *exact, kind.name, kind.base):
            try:
                synonyms(name)
            except KeyError:
                continue
            known[kind].append(name)
        known[kind] = known[kind] or list(kind.audioset[:1])
    return lambda text, kind: any(names_sound(text, name) for name in known[kind])


@pytest.fixture(scope="session")
def kinds_said() -> Callable[[str], set[Kind]]:
    """The kinds that the longest known phrase in a text may speak of."""
    index: dict[str, set[Kind]] = {}
    for kind in catalogue().values():
        phrases = [noun.text for noun in kind.nouns] + ([kind.unit, kind.counted] if kind.unit else [])
        for saying in kind.sayings:
            asked = f"{saying.subject} {saying.base}"
            phrases += [saying.present, saying.ongoing, saying.progressive, asked, wording.specific(asked)]
        for phrase in phrases + [wording.specific(phrase) for phrase in phrases]:
            index.setdefault(phrase, set()).add(kind)

    def longest(text: str) -> set[Kind]:
        words = re.findall(r"[\w'-]+", text)
        for length in range(len(words), 0, -1):
            found = [" ".join(words[at : at + length]) for at in range(len(words) - length + 1)]
            kinds = {kind for phrase in found for kind in index.get(phrase, ())}
            if kinds:
                return kinds
        return set()

    # "Is there the sound of a door creaking": the opening belongs to the question, or else to the noun.
    return lambda text: longest(text.lower()) | longest(text.lower().replace("there the sound of", "there"))
