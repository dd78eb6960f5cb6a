"""English word forms, enough for the words people use about sounds.

Verb phrases are written in their base form ("run down", "be poured") and noun phrases as they stand ("a drop of
water"); everything else is derived here, so that a phrase is written once and can be said in every form.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

VOWELS = "aeiou"


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Verbs of one stressed last syllable double it ("hum", "humming"); the others that end alike do not ("open",
# "opening").
DOUBLING = word_set(
    "bat beg chip chop chug clap cut dig dip drip drop drum flap get grab hit hum knit let mop nap nip pad pat peg "
    "pin plod plop pop quip rap rev rip rub run set shred shut sip sit skid slam slap snap snip sob spin stir stop "
    "strum swim tap thud tip trot tug wag whir win wrap yap yip zap zip"
)
IRREGULAR_PAST = {
    "be": "been", "begin": "begun", "blow": "blown", "break": "broken", "bite": "bitten", "burst": "burst",
    "come": "come", "cut": "cut", "draw": "drawn", "dig": "dug", "drink": "drunk", "drive": "driven", "eat": "eaten",
    "fall": "fallen", "fly": "flown", "give": "given", "go": "gone", "grind": "ground", "hear": "heard",
    "hit": "hit", "let": "let", "make": "made", "pay": "paid", "play": "played", "put": "put", "ride": "ridden",
    "ring": "rung", "rise": "risen", "run": "run", "say": "said", "shake": "shaken", "shoot": "shot", "shut": "shut",
    "sing": "sung", "speak": "spoken", "spin": "spun", "strike": "struck", "sweep": "swept", "swim": "swum",
    "swing": "swung", "take": "taken", "tear": "torn", "throw": "thrown", "weep": "wept", "write": "written",
}  # fmt: skip
IRREGULAR_PLURAL = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet", "tooth": "teeth",
    "goose": "geese", "mouse": "mice", "knife": "knives", "leaf": "leaves", "sheep": "sheep", "wolf": "wolves",
    "hoof": "hooves", "cattle": "cattle", "calf": "calves", "ox": "oxen", "fish": "fish", "applause": "applause",
    "thunder": "thunder", "music": "music", "deer": "deer",
}  # fmt: skip
SMALL_WORDS = word_set("of on in from at to with by for like against under over through into")
NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
TIMES = ("never", "once", "twice")


@lru_cache(maxsize=4096)
def third_person(verb: str) -> str:
    """`bark` -> `barks`, `hiss` -> `hisses`, `fly` -> `flies`."""
    if verb in {"be", "have"}:
        return {"be": "is", "have": "has"}[verb]
    return _with_s(verb)


@lru_cache(maxsize=4096)
def gerund(verb: str) -> str:
    """`bark` -> `barking`, `rev` -> `revving`, `chime` -> `chiming`."""
    if verb in DOUBLING:
        return verb + verb[-1] + "ing"
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and verb != "be" and not verb.endswith(("ee", "ye", "oe")):
        return verb[:-1] + "ing"
    return verb + "ing"


@lru_cache(maxsize=4096)
def participle(verb: str) -> str:
    """`bark` -> `barked`, `break` -> `broken`, `hum` -> `hummed`."""
    if verb in IRREGULAR_PAST:
        return IRREGULAR_PAST[verb]
    if verb in DOUBLING:
        return verb + verb[-1] + "ed"
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2:-1] not in VOWELS:
        return verb[:-1] + "ied"
    return verb + "ed"


@lru_cache(maxsize=4096)
def plural(noun: str) -> str:
    """The plural of a noun or noun phrase without article: `knock on a door` -> `knocks on a door`."""
    words = noun.split()
    head = next((place for place, word in enumerate(words) if place and word in SMALL_WORDS), len(words)) - 1
    word = words[head]
    words[head] = IRREGULAR_PLURAL.get(word) or _with_s(word)
    return " ".join(words)


def present(phrase: str, many: bool) -> str:
    """A base verb phrase in the present: `be poured` -> `is poured`; with many doers `are poured`."""
    if many:
        return "are" + phrase[2:] if phrase.startswith("be ") else phrase
    return _inflect(phrase, third_person)


def progressive(phrase: str, many: bool) -> str:
    """`bark loudly` -> `is barking loudly`."""
    return ("are " if many else "is ") + ongoing(phrase)


def ongoing(phrase: str) -> str:
    """`click and whistle` -> `clicking and whistling`."""
    return _inflect(phrase, gerund)


def article(phrase: str) -> str:
    """`an` or `a`, by the first letter as it sounds in these word lists."""
    first = phrase.lower()
    return "an" if first[:1] in VOWELS and not first.startswith(("uni", "use", "uku", "one")) else "a"


def times(count: int) -> str:
    """`once`, `twice`, `three times` ..."""
    return TIMES[count] if count < len(TIMES) else f"{number(count)} times"


def number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def _with_s(word: str) -> str:
    if word.endswith(("s", "sh", "ch", "x", "z")) or word in {"go", "echo", "do"}:
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _inflect(phrase: str, form: Callable[[str], str]) -> str:
    """Put the verb of a phrase into a form, and the second verb of a pair ("open or close") with it."""
    words = phrase.split(" ")
    words[0] = form(words[0])
    if len(words) > 2 and words[1] in {"and", "or"}:
        words[2] = form(words[2])
    return " ".join(words)


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
