"""Sounds as questions name them: a noun, or who does what, in every form; and times.

The grammars' word lists are read from the text files beside this one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from random import Random

from samcli.text import inflection
from samcli.text.labels import broader, labels
from samcli.text.sayings import Saying, saying, without_article

NO_SOUND = -1
COMMON = "sounds asked for most"
NUMBER_WORDS = ("first", "two", "three", "four", "five", "six", "ten", "twenty", "thirty", "second", "third", "fifth")
CHOICE = re.compile(r"\(([^()]*)\)")
WEATHER = {
    "Rain": ("rain", "rainy"), "Thunder": ("thunder", ""), "Wind": ("", "windy"), "Thunderstorm": ("storm", "stormy"),
}  # fmt: skip


def lines(name: str) -> list[str]:
    """The lines of a file that are no comments."""
    text = (files("samcli") / "training" / "question_reader" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@lru_cache(maxsize=8)
def sections(name: str) -> dict[str, list[str]]:
    """Lines by the heading ("== heading") that they stand below."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in lines(name):
        if line.startswith("== "):
            heading = line.removeprefix("== ")
        else:
            found.setdefault(heading, []).append(line)
    return found


def word_list(heading: str) -> list[str]:
    return sections("other_words.txt")[heading]


def expand(text: str, rng: Random) -> str:
    """One way through the choices."""
    while (found := CHOICE.search(text)) is not None:
        text = text[: found.start()] + rng.choice(found[1].split("|")) + text[found.end() :]
    return " ".join(text.split())


@dataclass
class NamedSound:
    """A sound under the word a person has for it; NO_SOUND for what we know nothing of."""

    place: int
    word: str  # a noun or a verb in its base form
    clause: Saying | None
    again: bool = False  # a pronoun stands for it

    @classmethod
    def draw(cls, rng: Random, clause: bool = False) -> NamedSound:
        if rng.random() < 0.04 and not clause:
            return cls(NO_SOUND, rng.choice(word_list("unknown sounds")), None)
        label = _likely(rng)
        return cls.of(label, rng)

    @classmethod
    def of(cls, label: str, rng: Random) -> NamedSound:
        said = saying(label)
        words = said.asked or (said.bare,)
        # The plainest words come first and are used most.
        place = min(int(rng.expovariate(0.35)), len(words) - 1) if rng.random() < 0.6 else rng.randrange(len(words))
        return cls(place_of(label), words[place], said)

    def pronoun(self) -> NamedSound:
        """The same, as one speaks of it the second time."""
        return NamedSound(self.place, "it", self.clause, again=True)

    @classmethod
    def sibling(cls, other: NamedSound, rng: Random) -> NamedSound:
        """Another sound under the same heading."""
        if other.clause is None:
            return cls.draw(rng)
        near = _siblings(other.clause.label)
        return cls.of(rng.choice(near), rng) if near else cls.draw(rng)

    def said(self, form: str, rng: Random, article: tuple[str, ...] = ()) -> tuple[str, int]:
        """The sound in a form, and how many of its words are no name: articles."""
        word, said = self.word, self.clause
        if self.again:
            return self._again(form, rng), 0
        if form in ("noun", "bare") or said is None:
            return self._noun(word, form, rng, article)
        if said.label in WEATHER and rng.random() < 0.6:
            return self._weather(form, rng)
        who = without_article(said.who)
        deed = rng.choice(said.deeds)
        kind = word[-2:] if word.endswith(("/n", "/v")) else ""
        plain = word.removesuffix(kind)
        if said.who.startswith(("a ", "an ")) and " " not in plain and kind != "/v" and rng.random() < 0.4:
            who = plain if plain not in said.deeds else who
        many = said.many or (rng.random() < 0.3 and who != "someone" and said.who.startswith(("a ", "an ")))
        if many and not said.many:
            who = inflection.plural(who)
        if form in ("cg", "cg-q", "c", "cs", "vg") and rng.random() < 0.12:
            deed = f"{deed} {rng.choice(word_list('tails'))}"
        lead = "" if who in ("someone", "something") else rng.choice(("the ", "the ", "a " if not many else "", ""))
        if lead == "a ":
            lead = inflection.article(who) + " "
        if who in ("someone", "something"):
            who = rng.choice(
                (who, who, "anyone", "somebody", "people", "anybody") if who == "someone" else (who, "anything")
            )
            many = who == "people"
        skip = 1 if lead else 0
        going = inflection.ongoing(deed)
        texts = {
            "c": f"{lead}{who} {deed}",
            "cs": f"{lead}{who} {inflection.present(deed, many)}",
            "cd": f"{lead}{who} {_past(deed, many)}",
            "cg": f"{lead}{who} {rng.choice(('', '', 'are ' if many else 'is '))}{inflection.ongoing(deed)}",
            "cg-q": f"{lead}{who} {inflection.ongoing(deed)}",
            "c-start": f"{lead}{who} {rng.choice(('start', 'begin'))} {rng.choice((going, 'to ' + deed))}",
            "c-stop": f"{lead}{who} {rng.choice(('stop', 'finish', 'quit'))} {inflection.ongoing(deed)}",
            "cs-never": f"{lead}{who} never {inflection.present(deed, many)}",
            "v": deed, "vg": inflection.ongoing(deed), "vs": inflection.present(deed, False),
        }  # fmt: skip
        return texts[form], skip if not form.startswith("v") else 0

    def _weather(self, form: str, rng: Random) -> tuple[str, int]:
        """ "it rains", "is it windy": with nobody who does it."""
        assert self.clause is not None
        verb, adjective = WEATHER[self.clause.label]
        skip = 1
        if adjective and (rng.random() < 0.4 or not verb):
            be = "be " if form in ("c", "v") else "was " if form == "cd" else "" if form in ("cg-q", "vg") else "is "
            text, skip = f"{be}{adjective}", 1 + len(be.split())
        else:
            going = inflection.gerund(verb)
            text = {
                "c": verb, "v": verb, "cs": inflection.third_person(verb), "cd": inflection.participle(verb),
                "vs": inflection.third_person(verb), "cs-never": f"never {inflection.third_person(verb)}",
                "c-start": f"{rng.choice(('start', 'begin'))} {going}", "c-stop": f"stop {going}",
            }.get(form, going)  # fmt: skip
            if form in ("c-start", "c-stop", "cs-never"):
                skip = 2
        return (text, skip - 1) if form.startswith("v") else (f"it {text}", skip)

    def _again(self, form: str, rng: Random) -> str:
        it = rng.choice(("it", "it", "it", "they", "that", "this", "he", "she", "them", "the sound", "the noise"))
        if form in ("noun", "bare") or self.clause is None:
            return it
        deed = self.clause.deeds[0]
        if form.startswith("v"):
            return inflection.ongoing(deed) if form == "vg" else deed
        return f"{it} {inflection.ongoing(deed) if form.startswith('cg') else deed}"

    def _doing(self, rng: Random) -> tuple[str, int]:
        assert self.clause is not None
        return _doing_forms(without_article(self.clause.who), rng.choice(self.clause.deeds), self.clause.many, rng)

    def _noun(self, word: str, form: str, rng: Random, article: tuple[str, ...]) -> tuple[str, int]:
        kind = word[-2:] if word.endswith(("/n", "/v")) else ""
        word = word.removesuffix(kind)
        if kind == "/v":
            word = inflection.gerund(word)
        if form == "bare":
            chance = rng.random()
            if chance < 0.4 and " " not in word:
                word = inflection.plural(word)
            elif chance < 0.45:
                return f"{word} {rng.choice(('sound', 'sounds', 'noise', 'noises'))}", 0
            return word, 0
        chance = rng.random()
        if self.clause is not None and chance > 0.8 and not self.clause.deeds[0].startswith("be "):
            return self._doing(rng)
        if chance < 0.1:
            return f"the {rng.choice(('sound', 'noise'))} of {inflection.article(word)} {word}", 4
        if chance < 0.15:
            return f"{rng.choice(('a', 'any', 'the'))} {word} {rng.choice(('sound', 'noise'))}", 1
        leads = article or ("a", "a", "a", "the", "the", "any", "some", "", "this", "that", "many", "one")
        lead = rng.choice(leads)
        if lead in ("some", "any", "many", "") and rng.random() < 0.7:
            word = inflection.plural(word)
        lead = inflection.article(word) if lead == "a" else lead
        if word.startswith(("someone", "the ", "a ")):
            lead = ""
        return f"{lead} {word}".strip(), 1 if lead else 0


def _doing_forms(who: str, deed: str, many: bool, rng: Random) -> tuple[str, int]:
    """A doer and a deed as a noun: "the whir of a drill", "a wailing siren", "a person's cough"."""
    first, _, rest = deed.partition(" ")
    going = inflection.ongoing(deed)
    somebody = who in ("someone", "something")
    person = rng.choice(("a person", "a man", "a woman", "somebody", "a child")) if who == "someone" else who
    lead = "" if many or somebody else f"{inflection.article(who)} "
    owner = person if somebody else f"{lead}{who}"
    chance = rng.random()
    if chance < 0.4:
        act = rng.choice((going, first if not rest else going, inflection.plural(first) if not rest else going))
        return f"the {act} of {owner}", 1
    if chance < 0.75 and not rest and not somebody:
        return (f"{going} {who}", 0) if many else (f"{inflection.article(going)} {going} {who}", 1)
    return f"{owner}'s {rng.choice((going, first if not rest else going))}", 1 if owner.startswith(("a ", "an ")) else 0


def _past(deed: str, many: bool) -> str:
    first, _, rest = deed.partition(" ")
    past = ("were" if many else "was") if first == "be" else inflection.participle(first)
    return f"{past} {rest}".strip()


def time_phrase(rng: Random) -> str:
    text = expand(rng.choice(word_list("times")), rng)
    for slot in ("h", "m2", "m", "s", "n", "word"):
        while f"{{{slot}}}" in text:
            value = {
                "h": f"{rng.randrange(1, 3)}", "m2": f"{rng.randrange(60):02d}", "s": f"{rng.randrange(60):02d}",
                "m": f"{rng.randrange(60)}", "n": f"{rng.randrange(1, 60)}",
                "word": rng.choice(NUMBER_WORDS),
            }[slot]  # fmt: skip
            text = text.replace(f"{{{slot}}}", value, 1)
    return text


def _likely(rng: Random) -> str:
    """Three in five of the sounds that people ask about, else any."""
    return rng.choice(word_list(COMMON)) if rng.random() < 0.6 else rng.choice(labels()[:500])


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    return {label: place for place, label in enumerate(labels())}


def place_of(label: str) -> int:
    return _places()[label]


@lru_cache(maxsize=1024)
def _siblings(label: str) -> tuple[str, ...]:
    above = broader(label)
    near = [other for other in labels() if other != label and broader(other) & above]
    return tuple(near) or tuple(other for other in word_list(COMMON) if other != label)
