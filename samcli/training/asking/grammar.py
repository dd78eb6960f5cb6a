"""Questions written by grammars: words, what each is to the question, and what the whole means.

Nothing here is a question of the evaluation: those were written first, and one that happens to be made is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from random import Random

from samcli.questions.intents import ROLES
from samcli.questions.words import split
from samcli.text import inflection
from samcli.text.labels import broader, labels
from samcli.text.sayings import Saying, saying, without_article
from samcli.training.asking import nonsense

NO_SOUND = -1
SLOT = re.compile(r"\{[^{}]+\}")
CHOICE = re.compile(r"\(([^()]*)\)")
UNKNOWN = [
    "unicorn",
    "dragon",
    "ghost",
    "spaceship",
    "alien",
    "submarine",
    "crystal",
    "sandwich",
    "pillow",
    "umbrella",
    "mountain",
    "dinosaur",
    "shadow",
    "tomato",
    "satellite",
    "curtain",
    "mushroom",
    "kettlebell",
    "blanket",
    "mermaid",
    "volleyball game",
    "tennis match",
    "snowflake",
    "carpet",
    "rainbow",
    "candle",
    "wizard",
    "sunset",
    "lighthouse",
    "mailman",
    "robot dog",
    "vampire",
    "elevator music box",
    "zipline",
    "treadmill",
    "hovercraft",
    "nurse",
    "soldier",
]
WEATHER = {
    "Rain": ("rain", "rainy"), "Thunder": ("thunder", ""), "Wind": ("", "windy"), "Thunderstorm": ("storm", "stormy"),
}  # fmt: skip
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
TIMES = (
    "at {m}:{s}", "at {h}:{m2}:{s}", "in the first minute", "in the first {n} (seconds|minutes)",
    "in the last {n} (seconds|minutes)", "between {m}:{s} and {m}:{s}", "from {m}:{s} to {m}:{s}",
    "at {n} seconds", "at {n} minutes", "after {n} (seconds|minutes)", "around {m}:{s}", "around {n} minutes in",
    "at second {n}", "in minute {n}", "in the first half", "in the second half",
    "during the last {n} (seconds|minutes)", "within the first {n} (seconds|minutes)", "around the middle",
    "at minute {n}", "at the {n} minute mark", "at the {word} minute mark", "between minute {n} and minute {n}",
    "at 0{m}:{s}", "at the {n} second mark", "{n} seconds in", "{n} minutes in", "halfway through",
    "in the middle", "near the end", "between {n} and {n} seconds", "from second {n} to {n}",
    "during the first {n} minutes", "in the {word} minute", "for the first {n} seconds",
    "in the first {word} (seconds|minutes)", "in the last {word} (seconds|minutes)", "around {word} minutes in",
    "until {m}:{s}", "before {m}:{s}", "after {m}:{s}", "in the first hour",
)  # fmt: skip


@dataclass
class Question:
    """Words with their roles and sounds."""

    intent: str
    words: list[str] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)  # places in ROLES
    sounds: list[int] = field(default_factory=list)  # label of each word in a role, or NO_SOUND
    begins: list[int] = field(default_factory=list)  # 1 where a second question begins
    first: Named | None = None  # the sound it asks about

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
    for line in _lines("templates.txt"):
        intent, _, text = line.partition(": ")
        found.setdefault(intent, []).append(text)
    found["refuse"] = _lines("refused.txt")
    return found


def _lines(name: str) -> list[str]:
    text = (files("samcli") / "training" / "asking" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def write(intent: str, rng: Random, known: Named | None = None) -> Question:
    """A question of an intent; about a sound spoken of before when one is known."""
    question = Question(intent)
    if intent == "foreign":
        question.add(nonsense.foreign(rng))
        return question
    text = expand(rng.choice(templates()[intent]), rng)
    slots = Slots(rng, known)
    _fill(question, text, slots)
    question.first = slots.drawn.get("a")
    return question


def expand(text: str, rng: Random) -> str:
    """One way through the choices."""
    while (found := CHOICE.search(text)) is not None:
        text = text[: found.start()] + rng.choice(found[1].split("|")) + text[found.end() :]
    return " ".join(text.split())


def _fill(question: Question, text: str, slots: Slots) -> None:
    at = 0
    for found in SLOT.finditer(text):
        question.add(text[at : found.start()])
        slots.fill(question, found[0][1:-1])
        at = found.end()
    question.add(text[at:])


class Slots:
    """The sounds of one question: {a} and its forms are one sound wherever they stand."""

    def __init__(self, rng: Random, known: Named | None = None) -> None:
        self.rng = rng
        self.drawn: dict[str, Named] = {} if known is None else {"a": known}

    def fill(self, question: Question, slot: str) -> None:
        rng = self.rng
        if slot in nonsense.WORDS:
            question.add(rng.choice(nonsense.WORDS[slot]))
        elif slot == "gib":
            question.add(nonsense.gibberish(rng))
        elif slot == "n":
            question.add(str(rng.choice((rng.randrange(1, 13), rng.randrange(1, 100), rng.randrange(1, 2030)))))
        elif slot == "art":
            question.add(rng.choice(("a", "any", "the")))
        elif slot == "t":
            question.add(time_phrase(rng), "time")
        elif slot in ("k", "ks"):
            label = rng.choice(tuple(KINDS))
            word = rng.choice(KINDS[label])
            question.add(inflection.plural(word) if slot == "ks" and word != "music" else word, "asked", _place(label))
        elif slot == "opts":
            self._options(question)
        else:
            self._sound(question, slot)

    def _sound(self, question: Question, slot: str) -> None:
        letter = {"b": "b", "r": "r", "c2": "b", "vg2": "b"}.get(slot, slot[0])
        letter = {"c": "a", "v": "a"}.get(letter, letter)
        role = "other" if letter == "r" else "asked"
        if letter not in self.drawn:
            self.drawn[letter] = Named.draw(self.rng, clause=slot[:1] in "cv" or slot in ("bs", "rs", "rc"))
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
        first = Named.draw(rng)
        options = [first] + [Named.sibling(first, rng) if family else Named.draw(rng) for _ in range(count - 1)]
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


@dataclass
class Named:
    """A sound under the word a person has for it; NO_SOUND for what we know nothing of."""

    place: int
    word: str  # a noun or a verb in its base form
    clause: Saying | None
    again: bool = False  # a pronoun stands for it

    @classmethod
    def draw(cls, rng: Random, clause: bool = False) -> Named:
        if rng.random() < 0.04 and not clause:
            return cls(NO_SOUND, rng.choice(UNKNOWN), None)
        label = _likely(rng)
        return cls.of(label, rng)

    @classmethod
    def of(cls, label: str, rng: Random) -> Named:
        said = saying(label)
        words = said.asked or (said.bare,)
        # The plainest words come first and are used most.
        place = min(int(rng.expovariate(0.35)), len(words) - 1) if rng.random() < 0.6 else rng.randrange(len(words))
        return cls(_place(label), words[place], said)

    def pronoun(self) -> Named:
        """The same, as one speaks of it the second time."""
        return Named(self.place, "it", self.clause, again=True)

    @classmethod
    def sibling(cls, other: Named, rng: Random) -> Named:
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
        lead = "" if who in ("someone", "something") else rng.choice(("the ", "the ", "a " if not many else "", ""))
        if lead == "a ":
            lead = inflection.article(who) + " "
        if who in ("someone", "something"):
            who = rng.choice(
                (who, who, "anyone", "somebody", "people", "anybody") if who == "someone" else (who, "anything")
            )
            many = who == "people"
        skip = 1 if lead else 0
        texts = {
            "c": f"{lead}{who} {deed}",
            "cs": f"{lead}{who} {inflection.present(deed, many)}",
            "cd": f"{lead}{who} {_past(deed, many)}",
            "cg": f"{lead}{who} {rng.choice(('', '', 'are ' if many else 'is '))}{inflection.ongoing(deed)}",
            "cg-q": f"{lead}{who} {inflection.ongoing(deed)}",
            "c-start": f"{lead}{who} {rng.choice(('start', 'begin'))} {rng.choice((inflection.ongoing(deed), 'to ' + deed))}",
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


def _past(deed: str, many: bool) -> str:
    first, _, rest = deed.partition(" ")
    past = ("were" if many else "was") if first == "be" else inflection.participle(first)
    return f"{past} {rest}".strip()


def time_phrase(rng: Random) -> str:
    text = expand(rng.choice(TIMES), rng)
    for slot in ("h", "m2", "m", "s", "n", "word"):
        while f"{{{slot}}}" in text:
            value = {
                "h": f"{rng.randrange(1, 3)}", "m2": f"{rng.randrange(60):02d}", "s": f"{rng.randrange(60):02d}",
                "m": f"{rng.randrange(60)}", "n": f"{rng.randrange(1, 60)}",
                "word": rng.choice(["first", "two", "three", "four", "five", "six", "ten", "twenty", "thirty", "second", "third", "fifth"]),
            }[slot]  # fmt: skip
            text = text.replace(f"{{{slot}}}", value, 1)
    return text


COMMON = [
    "Speech",
    "Male speech, man speaking",
    "Female speech, woman speaking",
    "Laughter",
    "Baby cry, infant cry",
    "Singing",
    "Whistling",
    "Cough",
    "Sneeze",
    "Snoring",
    "Walk, footsteps",
    "Clapping",
    "Applause",
    "Crowd",
    "Children playing",
    "Dog",
    "Bark",
    "Cat",
    "Meow",
    "Horse",
    "Cattle, bovinae",
    "Pig",
    "Sheep",
    "Goat",
    "Chicken, rooster",
    "Crowing, cock-a-doodle-doo",
    "Duck",
    "Goose",
    "Bird",
    "Chirp, tweet",
    "Crow",
    "Owl",
    "Pigeon, dove",
    "Insect",
    "Cricket",
    "Bee, wasp, etc.",
    "Frog",
    "Snake",
    "Music",
    "Guitar",
    "Piano",
    "Drum",
    "Violin, fiddle",
    "Flute",
    "Trumpet",
    "Saxophone",
    "Organ",
    "Bell",
    "Church bell",
    "Wind",
    "Thunder",
    "Thunderstorm",
    "Rain",
    "Water",
    "Stream",
    "Waterfall",
    "Ocean",
    "Waves, surf",
    "Fire",
    "Car",
    "Truck",
    "Bus",
    "Motorcycle",
    "Traffic noise, roadway noise",
    "Train",
    "Helicopter",
    "Fixed-wing aircraft, airplane",
    "Bicycle",
    "Engine",
    "Lawn mower",
    "Chainsaw",
    "Door",
    "Doorbell",
    "Slam",
    "Knock",
    "Typing",
    "Telephone bell ringing",
    "Telephone",
    "Alarm",
    "Alarm clock",
    "Siren",
    "Police car (siren)",
    "Ambulance (siren)",
    "Clock",
    "Tick",
    "Vacuum cleaner",
    "Hair dryer",
    "Toilet flush",
    "Water tap, faucet",
    "Explosion",
    "Gunshot, gunfire",
    "Fireworks",
    "Glass",
    "Shatter",
    "Splash, splatter",
    "Drip",
    "Pour",
    "Boiling",
    "Vehicle horn, car horn, honking",
    "Car alarm",
    "Hammer",
    "Drill",
    "Sawing",
    "Whistle",
    "Beep, bleep",
    "Screaming",
    "Shout",
    "Mosquito",
    "Mechanical fan",
    "Air conditioning",
    "Vehicle",
    "Animal",
    "Howl",
    "Blender",
    "Keys jangling",
    "Coin (dropping)",
    "Sewing machine",
    "Frying (food)",
    "Creak",
    "Squeak",
    "Buzz",
    "Hum",
    "Noise",
    "Crumpling, crinkling",
]


def _likely(rng: Random) -> str:
    """Three in five of the sounds that people ask about, else any."""
    return rng.choice(COMMON) if rng.random() < 0.6 else rng.choice(labels()[:500])


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    return {label: place for place, label in enumerate(labels())}


def _place(label: str) -> int:
    return _places()[label]


@lru_cache(maxsize=1024)
def _siblings(label: str) -> tuple[str, ...]:
    above = broader(label)
    near = [other for other in labels() if other != label and broader(other) & above]
    return tuple(near) or tuple(other for other in COMMON if other != label)
