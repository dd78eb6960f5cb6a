"""How questions and answers put things: "the dog", "rain, a siren and speech", "a) ... b) ...", yes and no."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from samcli.text import inflection
from samcli.training.language.sounds import Kind

LETTERS = "abcdefgh"
WHICH_ONE = (
    "What is heard?", "Which of these is heard?", "What can be heard?", "What do you hear?", "Which sound is this?",
    "What is this sound?", "Which of these is in the recording?", "What makes the sound?",
)  # fmt: skip
UNKNOWN = (
    "That cannot be told from the sound.", "That cannot be told from the sound.", "The sound does not tell.",
    "There is no way to tell that from the sound.",
)  # fmt: skip
WHAT_IS_SAID = (
    "What is being said?",
    "What are they saying?",
    "What does the voice say?",
    "Can you write down what is said?",
    "What are the words?",
)


WHICH_LANGUAGE = ("Which language is it?", "What language is spoken?", "In what language do they speak?")
# What kind of creature, machine or instrument: the questions, the sort, and the answer when there is none.
SORTS = (
    (("Which animal is it?", "What animal is this?", "Which animal is heard?"), "animal", "No animal is heard."),
    (("Which instrument is playing?", "What instrument is this?"), "music", "No instrument is heard."),
    (("What kind of vehicle is it?", "Which vehicle is heard?"), "vehicle", "No vehicle is heard."),
)
WHOSE = ("Is it a man or a woman?", "Is the voice male or female?", "Who is it: a man, a woman or a child?")


class Category(NamedTuple):
    """A wide sort of sound that people ask about."""

    questions: tuple[str, ...]
    groups: frozenset[str]
    unsure: frozenset[str]  # groups that leave it open whether this sort is there
    names: frozenset[str]  # AudioSet names that would make a "no" doubtful


def _category(questions: str, groups: str, unsure: str = "", names: str = "") -> Category:
    return Category(
        tuple(questions.split("|")), frozenset(groups.split()), frozenset(unsure.split()), frozenset(names.split("|"))
    )


_MUSIC = "music string bow wind brass keys drum mallet"
CATEGORIES = {
    "animal": _category(
        "Are there any animals?|Is an animal heard?|Can an animal be heard?|Is there an animal?",
        groups="pet farm bird insect wild",
        names="Animal|Bird|Insect|Dog|Cat",
    ),
    "music": _category(
        "Is there music?|Is any music playing?|Is music heard?|Is an instrument being played?",
        groups=_MUSIC,
        unsure="song bell",
        names="Music|Musical instrument",
    ),
    "person": _category(
        "Are there people?|Is a person heard?|Can a human be heard?|Is there anyone?",
        groups="voice body song",
        unsure=f"bathroom kitchen tool small office house weapon bell impact water {_MUSIC}",
        names="Speech|Singing|Walk, footsteps",
    ),
    "vehicle": _category(
        "Is there a vehicle?|Is a vehicle heard?|Are any vehicles heard?",
        groups="vehicle rail aircraft",
        unsure="alarm tool",
        names="Vehicle|Engine|Car",
    ),
    "water": _category(
        "Is there water?|Is water heard?|Can water be heard?",
        groups="water",
        unsure="weather bathroom kitchen body",
        names="Water|Liquid|Rain",
    ),
    "alarm": _category(
        "Is there an alarm?|Is an alarm or siren heard?|Does an alarm sound?",
        groups="alarm",
        unsure="bell electronic noise vehicle",
        names="Alarm|Siren",
    ),
    "bird": _category(
        "Is there a bird?|Are birds heard?|Can birds be heard?", groups="bird", unsure="farm insect", names="Bird"
    ),
}
_ANYTHING = (
    "Who recorded this?", "When was this recorded?", "What day is it?", "What time is it?",
    "In which city was this recorded?", "What colour is it?", "How much does it cost?",
    "What is the name of the place?", "What year is it?", "Which microphone was used?", "What will happen next?",
    "What does it smell like?", "How many people are watching?", "What is the temperature?",
)  # fmt: skip
_ABOUT = {
    "animal": (
        "How old is the animal?", "What colour is the animal?", "What is the animal's name?", "Who owns the animal?",
        "What breed is it?",
    ),
    "person": (
        "What is the person's name?", "How old is the person?", "What is the person wearing?",
        "Where is the person from?", "How tall is the person?",
    ),
    "vehicle": (
        "What colour is the vehicle?", "Who is driving?", "What make is it?", "Where is it going?",
        "How fast is it going?",
    ),
    "music": (
        "Who is the composer?", "Who is playing?", "What is the piece called?", "When was it written?",
        "How old is the instrument?",
    ),
}  # fmt: skip


def presence(kind: Kind, rng: Random) -> str:
    """A yes/no question whether a kind is heard."""
    saying = rng.choice(kind.sayings)
    noun, many = rng.choice(kind.nouns)
    be = "Are" if saying.many else "Is"
    ways = [
        f"{'Are' if many else 'Is'} there {noun}?",
        f"Can you hear {rng.choice((noun, saying.ongoing))}?",
        f"Do you hear {rng.choice((noun, saying.ongoing))}?",
        f"{be} {saying.subject} {inflection.ongoing(saying.base)}?",
        f"{'Are' if many else 'Is'} {noun} {rng.choice(('heard', 'heard', 'audible', 'present', 'in the recording'))}?",
        f"{rng.choice(('Can', 'Could'))} {noun} be heard?",
        f"Does {rng.choice(('this', 'the recording', 'it'))} {rng.choice(('contain', 'have', 'include'))} {noun}?",
        f"{rng.choice(('Could this be',) if many else ('Is this', 'Is that', 'Is it', 'Could this be'))} {noun}?",
        f"Is there {rng.choice(('the sound of ', 'any sound of '))}{saying.ongoing}?",
    ]
    if not saying.base.startswith("be "):
        ways.append(f"{'Do' if saying.many else 'Does'} {saying.subject} {saying.base}?")
    return rng.choice(ways)


def yes(kind: Kind, rng: Random) -> str:
    return rng.choice(
        ("Yes.", "Yes.", f"Yes, {rng.choice(kind.sayings).present}.", f"Yes, {kind.nouns[0].text} can be heard.")
    )


def no(kind: Kind, heard: Sequence[Kind], rng: Random) -> str:
    return rng.choice(("No.", "No.", "No, that is not heard.", f"No, only {listed(heard, rng)} can be heard."))


def answer(kind: Kind, rng: Random) -> str:
    """The kind as a short answer: "A dog." "A dog barks." """
    return sentence(rng.choice(kind.sayings).present if rng.random() < 0.4 else thing(kind, rng))


def thing(kind: Kind, rng: Random) -> str:
    """The sound as a thing, without an adjective: "a dog barking", "the bark of a dog"."""
    return rng.choice(kind.nouns).text if rng.random() < 0.6 else rng.choice(kind.sayings).ongoing


def listed(kinds: Sequence[Kind], rng: Random) -> str:
    """`a dog barking, rain and a siren`."""
    things = [thing(kind, rng) for kind in kinds]
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"


def either(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def lettered(texts: Sequence[str]) -> str:
    """`a) a dog b) rain c) a siren`."""
    return " ".join(f"{letter}) {text}" for letter, text in zip(LETTERS, texts, strict=False))


def specific(noun: str) -> str:
    """`a dog` -> `the dog`: something that both have in mind."""
    for opening in ("a ", "an "):
        if noun.startswith(opening):
            return "the " + noun[len(opening) :]
    return noun if noun.startswith(("the ", "some", "many ")) or noun.endswith("one") else f"the {noun}"


def asked_with(templates: Sequence[str], kind: Kind, rng: Random, single: bool = False) -> str:
    """A question about a kind; `single` keeps to singular nouns, for templates with a singular verb."""
    nouns = [noun.text for noun in kind.nouns if not (single and noun.many)]
    noun = rng.choice(nouns) if nouns else f"the sound of {kind.sayings[0].ongoing}"
    return rng.choice(tuple(templates)).format(x=specific(noun))


def stretch(start: float, end: float) -> tuple[str, ...]:
    """Where in a recording something lies, by shares of its length; empty when no plain word fits."""
    if start < 0.1 and end > 0.9:
        return ("throughout", "the whole time", "from start to end")
    if end < 0.4:
        return ("at the beginning", "at the start", "near the beginning")
    if start > 0.6:
        return ("at the end", "near the end", "towards the end")
    if start > 0.3 and end < 0.7:
        return ("in the middle", "around the middle")
    if start < 0.1 and end < 0.7:
        return ("in the first half", "at the beginning")
    if start > 0.3 and end > 0.9:
        return ("in the second half", "towards the end")
    return ()


def unknowable(kind: Kind) -> tuple[str, ...]:
    """Questions that the sound of a kind does not answer."""
    for name in ("animal", "person", "vehicle", "music"):
        if kind.group in CATEGORIES[name].groups:
            return _ABOUT[name] + _ANYTHING[: len(_ABOUT[name])]
    return _ANYTHING


def sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def as_asked(question: str, rng: Random) -> str:
    """As people type: now and then with a lead-in."""
    roll = rng.random()
    if roll < 0.04 and question.startswith(("What", "Which", "How", "When")):
        return f"Listen: {question[0].lower()}{question[1:]}"
    if roll < 0.08 and question.startswith(("Is ", "Are ", "Do ", "Can ")):
        return f"Tell me, {question[0].lower()}{question[1:]}"
    return question
