"""How each of AudioSet's 527 sounds is said: who does what, the sound as a thing, and what people call it.

One row of `sayings.csv` a label: a clause in its base form ("a dog > bark"), a noun phrase ("a dog", "rain"), how it
goes on (once, in bouts, lasting), and words people use for it, hyponyms among them ("puppy" for Dog). A `+` after the
head marks a plural. Phrases say the sound and nothing else, so that any of them is true whenever the label is.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from samcli.text import inflection

ONCE, BOUTS, LASTING = "once", "bouts", "lasting"
SHAPES = {"o": ONCE, "b": BOUTS, "l": LASTING}
ARTICLES = ("a ", "an ", "the ")


@dataclass(frozen=True)
class Saying:
    """One sound in every form that a sentence needs."""

    label: str
    who: str  # "a dog"
    many: bool  # whether there are several of them
    deeds: tuple[str, ...]  # "bark": base forms
    noun: str  # "a dog", "rain", "footsteps"
    nouns: bool  # whether that is a plural
    shape: str  # once, bouts or lasting
    asked: tuple[str, ...]  # what people call it; `/n` only as a noun, `/v` only as a verb

    @property
    def present(self) -> str:
        """ "a dog barks" """
        return f"{self.who} {inflection.present(self.deeds[0], self.many)}"

    @property
    def progressive(self) -> str:
        """ "a dog is barking" """
        return f"{self.who} {inflection.progressive(self.deeds[0], self.many)}"

    @property
    def ongoing(self) -> str:
        """ "a dog barking" """
        return f"{self.who} {inflection.ongoing(self.deeds[0])}"

    @property
    def bare(self) -> str:
        """The noun without its article: "dog"."""
        return without_article(self.noun)

    @property
    def counted(self) -> bool:
        """Whether one can sensibly say how many times."""
        return self.shape != LASTING

    def known(self) -> str:
        """As something spoken of before: "the dog", "the rain"; what belongs to somebody stays as it is."""
        if self.noun.startswith("someone"):
            return self.noun
        return f"the {self.bare}"


def without_article(noun: str) -> str:
    for article in ARTICLES:
        if noun.startswith(article):
            return noun[len(article) :]
    return noun


def saying(label: str) -> Saying:
    return _table()[label]


@lru_cache(maxsize=1)
def _table() -> dict[str, Saying]:
    table = files("samcli") / "data" / "labels" / "sayings.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return {row["name"]: _saying(row) for row in rows}


def _saying(row: dict[str, str]) -> Saying:
    who, _, deeds = row["clause"].partition(" > ")
    return Saying(
        label=row["name"],
        who=who.replace("+", ""),
        many="+" in who,
        deeds=tuple(deeds.split(";")),
        noun=row["noun"].replace("+", ""),
        nouns="+" in row["noun"],
        shape=SHAPES[row["shape"]],
        asked=tuple(word for word in row["asked"].split(";") if word),
    )
