"""What a text says, read by fixed rules: which sounds it names, in what order, and which answer it gives.

The lists and rules here and in `samcli.text.labels` were fixed before anything was measured with them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

from samcli.text.labels import mentions, names_sound, phrase, synonyms, unsupported
from samcli.training.language.sounds import WIDE_NAMES, Kind

# Names so wide that saying one tells nothing of what was heard, even where AudioSet offers no closer one.
TOO_WIDE = frozenset({"Animal", "Wild animals", "Domestic animals, pets", "Mechanisms", "Vehicle", "Percussion"})
NOT_NAMES = frozenset({"Liquid", "Burst, pop", "Hiss", "Water", "Wood", "Glass", "Sound effect"})

SILENCES = frozenset({"Silence", "silence"})

WORD = re.compile(r"[a-z0-9&]+(?:[-'][a-z0-9]+)*")
# Between two sounds, these say that the one named last came first.
TIME_ADVERBS = re.compile(r"\bafter (that|this|which|an? (\w+ )?(while|moment|pause|silence|time|second))\b")
TURNED = re.compile(r"\b(after|preceded by|following)\b")
ENDS_WITH = re.compile(r"\b(begin|start|open|end|finish|close|conclude)\w* (off )?with\b|\bas (if|well as|though)\b")
IN_TURN = re.compile(r"\b(then|followed|follows|before|later|next|afterwards?|finally|until|and after|in the end)\b")
AT_ONCE = re.compile(r"\b(while|as|during|amid|over|with|together|accompanied|simultaneously|same time|against)\b")
TOGETHER = re.compile(r"\b(at the same time|simultaneously|together|at once)\b")
CLAUSE = re.compile(r"[,.;:]|\b(?:and|while|then|with|as)\b")
NEGATIVE = re.compile(r"\b(no|not|none|never|nothing|without|neither|cannot)\b|n't\b")
AFFIRMATIVE = re.compile(r"\b(yes|yeah|yep|indeed|correct|true)\b")

Order = Literal["forward", "backward", "together"]


def names_of(label: str, audioset: Sequence[str] = ()) -> tuple[str, ...]:
    """Every entry of the label tables that names one sound: its own, and AudioSet's unless they are headings."""
    narrow = [
        name
        for place, name in enumerate(audioset)
        if name not in TOO_WIDE | NOT_NAMES and (place == 0 or name not in WIDE_NAMES)
    ]
    return tuple(dict.fromkeys(name for name in (label, *narrow) if _is_known(name)))


@lru_cache(maxsize=4096)
def names_of_kind(kind: Kind) -> tuple[str, ...]:
    """The same for a kind of sound."""
    found = [names_of(label, kind.audioset) for label in (*kind.labels, kind.name, kind.base)]
    return tuple(dict.fromkeys(name for names in found for name in names))


def names_any(text: str, names: Iterable[str]) -> bool:
    """Whether a text names the sound that goes by any of these names."""
    return any(names_sound(text, name) for name in names)


@lru_cache(maxsize=65536)
def shares_words(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether a word for one sound may stand for the other, so that a text cannot tell them apart."""
    return any(names_any(word, other) for name in one for word in synonyms(name)) or any(
        names_any(word, one) for name in other for word in synonyms(name)
    )


def stated_order(text: str, first: Sequence[str], second: Sequence[str]) -> Order | None:
    """How a text orders two sounds in time; None unless both are named. A plain list is in the order of time."""
    words = WORD.findall(text.lower())
    spans = {True: _span(words, first), False: _span(words, second)}
    one, other = spans[True], spans[False]
    if one is None or other is None:
        return None
    turned = other < one
    before, after = (other, one) if turned else (one, other)
    opening = " ".join(words[: before[0]])
    between = " ".join(words[before[1] : after[0]])
    between = TIME_ADVERBS.sub("then", ENDS_WITH.sub("", between))
    if (TURNED.search(between) and not IN_TURN.search(between)) or re.search(r"\bbefore\b", opening):
        return "forward" if turned else "backward"
    in_turn = IN_TURN.search(between) is not None or re.match(r"first\b|at first\b|after\b", opening) is not None
    if not in_turn and (AT_ONCE.search(between) or re.search(r"\b(while|as|during|with)\b", opening)):
        return "together"
    if not in_turn and TOGETHER.search(text.lower()):
        return "together"
    return "backward" if turned else "forward"


def invented(text: str, heard: frozenset[str]) -> list[str]:
    """The sounds that a text speaks of and that are not there.

    "Nothing else is heard" speaks of none; "a fan or washing machine" is true of either.
    """
    silences = {mention.words for mention in mentions(text) if mention.labels <= SILENCES}
    found = []
    for clause in CLAUSE.split(text):
        wrong = [words for words in unsupported(clause, heard) if words not in silences]
        if not (re.search(r"\bor\b", clause) and len(wrong) < len(mentions(clause))):
            found += wrong
    return found


def yes_or_no(answer: str) -> bool | None:
    """What a yes/no answer says; None when it says neither."""
    words = WORD.findall(answer.lower())
    if words and words[0] in {"yes", "yeah", "yep"}:
        return True
    if words and words[0] in {"no", "nope"}:
        return False
    if NEGATIVE.search(answer.lower()):
        return False
    return True if AFFIRMATIVE.search(answer.lower()) else None


def chosen_letter(answer: str, options: Sequence[str]) -> int | None:
    """Which of the lettered options an answer means: by its letter, or by repeating one option and no other."""
    letters = "abcdefghijklmnopqrstuvwxyz"[: len(options)]
    lowered = answer.lower().strip()
    match = re.match(rf"(?:(?:the )?(?:answer|option)(?: is)?:? *)?\(?([{letters}])(?:[).:,]|$| |-)", lowered)
    if match and not (match.group(1) == "a" and re.match(r"a [a-z]", lowered)):
        return letters.index(match.group(1))
    said = f" {_plain(answer)} "
    spoken = [place for place, option in enumerate(options) if f" {_plain(option)} " in said]
    if len(spoken) == 1:
        return spoken[0]
    match = re.search(rf"\(([{letters}])\)", lowered)
    return letters.index(match.group(1)) if match else None


def distinct_share(captions: Sequence[str]) -> float:
    """How many different wordings there are, against the number of captions."""
    return len({_plain(caption) for caption in captions}) / len(captions)


def commonest_share(captions: Sequence[str]) -> float:
    """The share of captions that have the most common wording."""
    return Counter(_plain(caption) for caption in captions).most_common(1)[0][1] / len(captions)


def _plain(text: str) -> str:
    return " ".join(WORD.findall(text.lower()))


def _span(words: list[str], names: Sequence[str]) -> tuple[int, int] | None:
    """Where the first mention begins and ends."""
    for end in range(1, len(words) + 1):
        if names_any(" ".join(words[:end]), names):
            start = end - 1
            while start > 0 and not names_any(" ".join(words[start:end]), names):
                start -= 1
            return start, end
    return None


def _is_known(name: str) -> bool:
    try:
        phrase(name)
    except KeyError:
        return False
    return True
