"""Questions written by grammars: words, what each is to the question, and what the whole means.

Nothing here is a question of the evaluation: those were written first, and one that happens to be made is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from samcli.questions.reader import ROLES, split
from samcli.text import inflection
from samcli.training.question_reader.sounds import (
    NO_SOUND,
    NamedSound,
    expand,
    lines,
    place_of,
    sections,
    time_phrase,
    word_list,
)

SLOT = re.compile(r"\{[^{}]+\}")
KINDS = {
    "Animal": ("animal", "creature", "beast", "pet", "wild animal"),
    "Bird": ("bird", "songbird"),
    "Vehicle": ("vehicle", "car or vehicle", "means of transport"),
    "Musical instrument": ("instrument", "musical instrument", "string instrument", "drum"),
    "Music": ("music", "song"),
    "Insect": ("insect", "bug"),
    "Alarm": ("alarm", "siren"),
    "Engine": ("engine", "motor"),
    "Bell": ("bell",),
    "Water": ("water",),
    "Speech": ("voice", "person", "speech"),
    "Tools": ("tool", "machine"),
}


@dataclass
class Question:
    """Words with their roles and sounds."""

    intent: str
    words: list[str] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)  # places in ROLES
    sounds: list[int] = field(default_factory=list)  # label of each word in a role, or NO_SOUND
    begins: list[int] = field(default_factory=list)  # 1 where a second question begins
    first: NamedSound | None = None  # the sound it asks about

    def add(self, text: str, role: str = "", sound: int = NO_SOUND, skip: int = 0) -> None:
        """Words of one role; the first `skip` of them are only beside it."""
        for place, word in enumerate(split(text)):
            inside = bool(role) and place >= skip
            name = "O" if not inside else "I-time" if role == "time" else ("B-" if place == skip else "I-") + role
            self.words.append(word)
            self.roles.append(ROLES.index(name))
            self.sounds.append(sound if inside and role != "time" else NO_SOUND)
            self.begins.append(0)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@lru_cache(maxsize=1)
def templates() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines("templates.txt"):
        intent, _, text = line.partition(": ")
        found.setdefault(intent, []).append(text)
    found["refuse"] = lines("refused.txt")
    return found


def write(intent: str, rng: Random, known: NamedSound | None = None) -> Question:
    """A question of an intent; about a sound spoken of before when one is known."""
    question = Question(intent)
    if intent == "foreign":
        question.add(foreign(rng))
        return question
    text = expand(rng.choice(templates()[intent]), rng)
    slots = Slots(rng, known)
    _fill(question, text, slots)
    question.first = slots.drawn.get("a")
    return question


def _fill(question: Question, text: str, slots: Slots) -> None:
    at = 0
    for found in SLOT.finditer(text):
        question.add(text[at : found.start()])
        slots.fill(question, found[0][1:-1])
        at = found.end()
    question.add(text[at:])


class Slots:
    """The sounds of one question: {a} and its forms are one sound wherever they stand."""

    def __init__(self, rng: Random, known: NamedSound | None = None) -> None:
        self.rng = rng
        self.drawn: dict[str, NamedSound] = {} if known is None else {"a": known}

    def fill(self, question: Question, slot: str) -> None:
        rng = self.rng
        if slot in slots():
            question.add(rng.choice(word_list(slot)))
        elif slot == "gib":
            question.add(gibberish(rng))
        elif slot == "n":
            question.add(str(rng.choice((rng.randrange(1, 13), rng.randrange(1, 100), rng.randrange(1, 2030)))))
        elif slot == "art":
            question.add(rng.choice(("a", "any", "the")))
        elif slot == "t":
            question.add(time_phrase(rng), "time")
        elif slot in ("k", "ks"):
            label = rng.choice(tuple(KINDS))
            word = rng.choice(KINDS[label])
            question.add(
                inflection.plural(word) if slot == "ks" and word != "music" else word, "asked", place_of(label)
            )
        elif slot == "opts":
            self._options(question)
        else:
            self._sound(question, slot)

    def _sound(self, question: Question, slot: str) -> None:
        letter = {"b": "b", "r": "r", "c2": "b", "vg2": "b"}.get(slot, slot[0])
        letter = {"c": "a", "v": "a"}.get(letter, letter)
        role = "other" if letter == "r" else "asked"
        if letter not in self.drawn:
            self.drawn[letter] = NamedSound.draw(self.rng, clause=slot[:1] in "cv" or slot in ("bs", "rs", "rc"))
        named = self.drawn[letter]
        form = slot.removeprefix(letter) if letter in slot[:1] else slot
        form = {"": "noun", "-": "bare", "c2": "c", "s": "cs", "vg2": "vg"}.get(form, form)
        text, skip = named.said(form, self.rng)
        question.add(text, role, named.place, skip)

    def _options(self, question: Question) -> None:
        rng = self.rng
        count = rng.choice((2, 2, 3, 3, 3, 4, 4, 5, 6))
        style = rng.choice(("a)", "(a)", "a.", "a:", "1)", "1.", "A)", "(A)", "A.", "", "", "", "", "/", "-", "quiz"))
        family = rng.random() < 0.5
        first = NamedSound.draw(rng)
        options = [first] + [
            NamedSound.sibling(first, rng) if family else NamedSound.draw(rng) for _ in range(count - 1)
        ]
        with_article, long = rng.random() < 0.5, rng.random() < 0.25
        for place, named in enumerate(options):
            if style and style not in "/-":
                letter = (
                    "abcdef"[place]
                    if style == "quiz"
                    else ("abcdef", "ABCDEF", "123456")[0 if "a" in style else 1 if "A" in style else 2][place]
                )
                question.add(f"{letter})" if style == "quiz" else re.sub("[aA1]", letter, style))
            elif place:
                last = place == count - 1
                mark = style or ("or" if last and rng.random() < 0.6 else ",")
                question.add(f", {mark}" if mark == "or" and rng.random() < 0.3 else mark)
            form = "cg" if long and rng.random() < 0.7 else "noun" if with_article else "bare"
            text, skip = named.said(form, rng, article=("a",))
            question.add(text, "asked", named.place, skip)
            if style and style not in "/-" and place < count - 1 and rng.random() < 0.2:
                question.add(rng.choice((",", ";", "or")))


def slots() -> frozenset[str]:
    """The slots that are filled with words of a list."""
    return frozenset(sections("other_words.txt"))


def foreign(rng: Random) -> str:
    """Words of one other language in any order, or letters of another script."""
    if rng.random() < 0.18:
        letters = rng.choice(word_list("scripts"))
        size = rng.randint(4, 14)
        at = rng.randrange(max(1, len(letters) - size))
        text = letters[at : at + size] if rng.random() < 0.5 else "".join(rng.choices(letters, k=size))
        return text + rng.choice(["", "?", "？"])
    languages = [heading for heading in sections("other_words.txt") if heading.startswith("language ")]
    words = " ".join(word_list(rng.choice(languages))).split()
    size = rng.randint(2, 8)
    at = rng.randrange(max(1, len(words) - size))
    chosen = words[at : at + size] if rng.random() < 0.5 else rng.sample(words, min(size, len(words)))
    return " ".join(chosen) + rng.choice(["", "?", " ?", "."])


def gibberish(rng: Random) -> str:
    """Something that is no word."""
    if rng.random() < 0.4:
        row = rng.choice(("asdfghjkl", "qwertyuiop", "zxcvbnm", "jklöä", "dfghjk"))
        return "".join(rng.choices(row, k=rng.randint(3, 8)))
    heads = "bl br cl dr fl fn gl gr kr pl qu sk sn spl thw tw v w x z zw b d f g".split()  # noqa: SIM905
    middles = "a e i o u oo ee a o i ubb imm agg ibb orb ux".split()  # noqa: SIM905
    tails = "p rp rd ble x zz g mp nk st b dge bble ft lg ngle zle".split()  # noqa: SIM905
    return "".join(rng.choice(part) for part in (heads, middles, tails)) + rng.choice(["", "", "le", "ify", "ed"])
