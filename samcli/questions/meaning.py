"""What a person means: one or two questions, each an intent with the sounds it names.

The network says the intent and which words are names; the lexicon says whose. Where a word is unknown to the lexicon
(a slip of the fingers), the network's own opinion counts, then the nearest spelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from samcli.digest.names import HEADINGS
from samcli.questions import lexicon
from samcli.questions.reader import INTENTS, NEEDS_SOUND, ROLES, SEVERAL, QuestionReader, packed, shipped, split
from samcli.questions.times import Span, span_of
from samcli.text.labels import labels

MOST_PARTS = 3
LETTERS = "abcdefgh"
SURE = 0.5  # of a sound by the network alone
PRONOUNS = frozenset(
    ["it", "its", "they", "them", "their", "that", "this", "those", "these", "he", "she", "him", "her", "one", "ones"]
)
NOBODY = frozenset(["someone", "somebody", "anyone", "anybody", "someones", "somebodys", "people"])
# Intents that ask about one sound unless a word joins two.
ONE_UNLESS_JOINED = frozenset({"present", "only", "else", "absent"})
JOINTS = frozenset({"and", "or", ",", "plus", "&", "with", "/", "as", "also"})
# Intents about the whole recording, and what they are when a sound is named.
ASKED_OF_ALL = {"length": "long", "silent": "present", "help": "present", "describe": "times"}
# The same after a question about a sound, when they point at "it".
POINTED = {"length": "long", "first": "when", "last": "until"}
BEYOND = frozenset({"refuse", "foreign", "help"})
# What asks more about a sound that was just asked about, without naming it: "and when?", "if so, how often?"
MORE = {
    "when": "when", "where": "when", "since when": "when", "when was the first time": "when", "until when": "until",
    "when was the last time": "until", "how often": "often", "how many": "count", "how many times": "count",
    "how long": "long", "for how long": "long", "how loud": "loud", "what else": "else", "what else is there": "else",
    "what else is heard": "else", "what else can be heard": "else", "what else do you hear": "else",
    "which": "kind", "which one": "kind", "which ones": "kind", "what kind": "kind", "what kinds": "kind",
}  # fmt: skip
TOLD_IN_ORDER = frozenset(["timeline", "chronology", "recap", "overview", "rundown", "synopsis"])
LEADS = frozenset(["and", "but", "if", "so", "yes", "then", "also", "or", "exactly", "roughly", "about"])
# Words that are no name even where the network takes them for one.
NO_NAMES = frozenset(
    [
        "anything",
        "something",
        "nothing",
        "everything",
        "anyone",
        "sound",
        "sounds",
        "noise",
        "noises",
        "audio",
        "recording",
        "clip",
    ]
)


@dataclass(frozen=True)
class Name:
    """A sound as the question calls it."""

    words: str
    label: str | None  # None: a word for which we know no sound

    @property
    def kind(self) -> str:
        """A word for less than the label stands for."""
        return lexicon.kind_in(self.words)


@dataclass(frozen=True)
class Question:
    """One thing that is asked."""

    intent: str
    asked: tuple[Name, ...] = ()
    other: tuple[Name, ...] = ()  # what it is put in relation to
    span: Span | None = None  # the stretch of time it is about
    lettered: str = ""  # the letters of its options, where it has some: "abc"
    text: str = ""


def understand(text: str, reader: QuestionReader | None = None) -> tuple[Question, ...]:
    """The questions in a text, in order; at least one."""
    reader = reader or shipped()
    words = split(text)
    if not any(word[:1].isalnum() for word in words):
        return (Question("refuse", text=text),)
    found: list[Question] = []
    for part in _parts(reader, words):
        question = _read(reader, part)
        if found and _core(question.text) in ("when", "where", "which") and not (found[-1].asked or found[-1].other):
            continue  # "what is loudest, and when?": that is told anyway
        if found:
            question = _carried(question, found[-1])
        found.append(question)
    return tuple(found)


def _parts(reader: QuestionReader, words: list[str]) -> list[list[str]]:
    """The text cut where another question begins."""
    with torch.inference_mode():
        begins = reader(*packed([words], reader.config.buckets)).begins[0]
    places = [place for place in range(1, len(words)) if begins[place] > 0 or _asks_anew(words, place)]
    places = [place for place, before in zip(places, [0, *places], strict=False) if place > before + 1 or not before]
    bounds = [0, *places[: MOST_PARTS - 1], len(words)]
    parts = [words[a:b] for a, b in pairwise(bounds)]
    # A part without a word of its own ("?", "and") belongs to the one before.
    return [part for part in parts if sum(word[:1].isalnum() for word in part) >= 1] or [words]


def _asks_anew(words: list[str], place: int) -> bool:
    """A second "what" behind an "and", as in "what comes first, and what comes last?"; "which ones" behind a mark."""
    if words[place] == "which" and words[place - 1] in ("?", ",", "and"):
        # One of several that were named is asked for by "which one": that is no second question.
        return words[place + 1 : place + 2] == ["ones"] or words[place - 1 : place + 2] == ["and", "which", "?"]
    return words[place - 1 : place + 1] == ["and", "what"] and place > 2 and len(words) > place + 2


def _read(reader: QuestionReader, words: list[str]) -> Question:
    with torch.inference_mode():
        read = reader(*packed([words], reader.config.buckets))
        roles = [ROLES[int(role)] for role in read.role[0].argmax(-1)]
        sounds = reader.sound(read.word[0]).softmax(-1)
        order = read.intent[0].argsort(descending=True).tolist()
    named: dict[str, list[Name]] = {"asked": [], "other": []}
    for kind, start, end in _spans(roles):
        name = _name(words[start:end], sounds[start:end])
        if name is not None:
            named[kind].append(name)
    named = {kind: without_doers(names) for kind, names in named.items()}
    span = span_of(words)
    intent = INTENTS[order[0]]
    bare = tuple(word for word in words if word[:1].isalnum() and word not in lexicon.STOPS)
    if intent in BEYOND and bare in lexicon.lexicon():  # nothing but the name of a sound: "dog?"
        return Question("present", (Name(" ".join(bare), lexicon.lexicon()[bare]),), text=" ".join(words))
    if intent in NEEDS_SOUND and not named["asked"] and not named["other"] and not PRONOUNS & set(words):
        # It names nothing: the likeliest that needs no name.
        intent = next(INTENTS[place] for place in order if INTENTS[place] not in NEEDS_SOUND)
    text = " ".join(words)
    letters, options = lettered(words)
    if options:
        known = [option for option in options if option.label is not None]
        named = {"asked": options, "other": []}
        intent = "absent_of" if intent in ("absent_of", "absent") else "choice" if known else intent
        return Question(intent, tuple(options), (), span, letters, text)
    if intent in ONE_UNLESS_JOINED and not JOINTS & set(words):
        named = {kind: one_sound(names) for kind, names in named.items()}
    intent = _mended(intent, named["asked"] + named["other"], words)
    if intent in ("first", "last"):  # "what is the first animal?"
        sorts = [Name(label, label) for label in lexicon.find(words) if label in HEADINGS]
        named = {"asked": sorts[:1], "other": []}
    elif intent not in NEEDS_SOUND:
        named = {"asked": [], "other": []}
    if intent not in SEVERAL:
        named = {kind: one_sound(names) for kind, names in named.items()}
    elif intent == "order" and not named["other"]:
        named = {"asked": named["asked"][:1], "other": named["asked"][1:]}
    return Question(intent, tuple(named["asked"]), tuple(named["other"]), span, "", text)


def _spans(roles: Sequence[str]) -> list[tuple[str, int, int]]:
    """Stretches of words that are one name: its role, first word and the one behind its last."""
    found: list[tuple[str, int, int]] = []
    for place, role in enumerate(roles):
        start, _, kind = role.partition("-")
        if kind not in ("asked", "other"):
            continue
        if start == "I" and found and found[-1][0] == kind and found[-1][2] == place:
            found[-1] = (kind, found[-1][1], place + 1)
        else:
            found.append((kind, place, place + 1))
    return found


def _name(words: Sequence[str], sounds: torch.Tensor) -> Name | None:
    plain = [word for word in words if word[:1].isalnum()]
    text = " ".join(words)
    if not plain or all(word in PRONOUNS | NO_NAMES for word in plain):
        return None
    known = lexicon.find(plain)
    if known or lexicon.UNHEARD & set(plain):
        return Name(text, known[0] if known else None)
    chance, place = sounds.mean(0).max(-1)
    names = labels()
    if chance > SURE and int(place) < len(names):
        return Name(text, names[int(place)])
    close = next((label for word in plain if (label := lexicon.alike(word)) is not None), None)
    return Name(text, close)


def _mended(intent: str, names: Sequence[Name], words: list[str]) -> str:
    """The intent, where the sounds that are named leave no doubt of another."""
    known = [name for name in names if name.label not in (None, "Silence")]
    if intent == "present" and any(name.words in TOLD_IN_ORDER for name in names):
        return "describe"  # "give me a timeline"
    if not known:
        return "quietest_at" if intent == "silent" and words[:1] in (["when"], ["where"]) else intent
    if len(known) == 2 and "between" in words and words[0] in ("what", "what's", "which", "anything", "is"):
        return "between"  # "what is heard between the dog and the siren?"
    if intent == "both" and len(names) == 1:
        return "present"
    if intent == "count" and {"different", "kinds", "types", "sorts"} & set(words) and known[0].label in HEADINGS:
        return "kind"  # "how many different animals are there?"
    if intent == "at" and {"many", "often"} & set(words):
        return "count"  # "how many barks in the first half?"
    if intent in ("more", "together") and len(known) == 1 and {"once", "twice", "times"} & set(words):
        return "count"  # "does the dog bark more than once?"
    if intent in ASKED_OF_ALL:
        return ASKED_OF_ALL[intent]
    said = {word for name in known for word in name.words.split()}
    if intent in BEYOND and all(word in said or word in lexicon.STOPS for word in words if word[:1].isalnum()):
        return "present"  # nothing but the name of a sound: "dog?"
    return intent


def without_doers(names: list[Name]) -> list[Name]:
    """Without "someone" and the like, where what they do is named too."""
    real = [name for name in names if not set(name.words.split()) <= NOBODY]
    return real or names


def one_sound(names: list[Name]) -> list[Name]:
    """Of several names for one sound ("the door ... slammed") the one that tells most."""
    if len(names) < 2:
        return names
    words = " ".join(name.words for name in names)
    label = next(iter(lexicon.find(words.split())), None)
    if label is not None:
        return [Name(words, label)]
    return [name for name in names if name.label is not None][:1] or names[:1]


def _carried(question: Question, before: Question) -> Question:
    """With the sound of the question before it, where it only points at one."""
    about = before.asked or before.other
    more = "" if question.asked or question.other else MORE.get(_core(question.text), "")
    if more and about:
        return replace(question, intent=more, asked=about)
    pointing = bool(PRONOUNS & set(question.text.split())) and bool(about)
    if pointing and question.intent in POINTED:
        question = replace(question, intent=POINTED[question.intent])
    if question.asked or question.other or question.intent not in NEEDS_SOUND:
        return question
    if question.intent in ("before", "after"):
        return replace(question, other=about)
    return replace(question, asked=about)


def _core(text: str) -> str:
    """A question up to its mark, without the words that lead to it or hedge it."""
    words = [word for word in text.partition("?")[0].split() if word[:1].isalnum()]
    return " ".join(word for word in words if word not in LEADS)


def lettered(words: Sequence[str]) -> tuple[str, list[Name]]:
    """The letters before the options and what stands behind each; nothing unless there are two at least."""
    letters, starts = "", []
    for place, (word, mark) in enumerate(pairwise([*words, ""])):
        if len(letters) < len(LETTERS) and word == LETTERS[len(letters)] and mark in (")", ".", ":"):
            letters += word
            starts.append(place)
    if len(letters) < 2:
        return "", []
    ends = [*starts[1:], len(words)]
    return letters, [_option(words[start + 2 : end]) for start, end in zip(starts, ends, strict=True)]


def _option(words: Sequence[str]) -> Name:
    """An option without the marks around it and what follows the last of them."""
    end = next((place for place, word in enumerate(words) if word in ".?!;-" and place), len(words))
    plain = [word for word in words[:end] if word not in ("(", ",")]
    known = lexicon.find(plain) or tuple(filter(None, (lexicon.alike(word) for word in plain)))
    return Name(" ".join(plain), known[0] if known else None)
