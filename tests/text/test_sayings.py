"""Every label can be said, in every form, as one would say it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from samcli.text.labels import labels
from samcli.text.sayings import LASTING, saying


def test_every_label_has_a_saying() -> None:
    for label in labels():
        said = saying(label)
        assert said.who and said.deeds[0] and said.noun and said.shape, label


def test_forms_are_well_made() -> None:
    for label in labels():
        well_made(label)


def well_made(label: str) -> None:
    said = saying(label)
    for text in (said.present, said.progressive, said.ongoing, said.noun, said.known()):
        assert text == " ".join(text.split()) and "+" not in text and ";" not in text and ">" not in text
        words = text.split()
        assert all(one != other for one, other in pairwise(words)), text
        for article, word in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (word[0] in "aeiou" and not word.startswith(("uku", "one", "uni"))), text
    verb = said.present.removeprefix(said.who).split()[0]
    if said.many:
        assert verb in ("are",) or not verb.endswith("s") or verb in ("toss",), said.present
    else:
        assert verb == "is" or verb.endswith("s"), said.present
    assert not said.nouns or not said.noun.startswith(("a ", "an ")), said.noun


def test_counting_is_for_what_comes_and_goes() -> None:
    assert saying("Bark").counted and not saying("Rain").counted
    assert saying("Rain").shape == LASTING


@pytest.mark.parametrize(
    ("label", "present"),
    [
        ("Bark", "a dog barks"), ("Church bell", "church bells ring"), ("Gong", "a gong is struck"),
        ("Scissors", "scissors snip"), ("Rain", "rain falls"), ("Applause", "an audience applauds"),
        ("Throat clearing", "someone clears their throat"), ("Door", "a door opens or closes"),
    ],
)  # fmt: skip
def test_some_of_them(label: str, present: str) -> None:
    assert saying(label).present == present
