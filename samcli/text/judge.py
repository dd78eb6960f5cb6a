"""Whether a text is one that a person would write, or what a language model says when it has lost its way.

The rules know nothing of sound and nothing of truth: a text that passes may still be wrong. They stand between the
model and the record, so that one word said forty times never leaves as a success.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

ARTICLES = ("a", "an", "the")
LINKS = ("and", "as", "at", "by", "for", "from", "in", "into", "of", "on", "or", "then", "to", "while", "with")
LOOSE_ENDS = frozenset((*ARTICLES, *LINKS, "are", "is"))
MAY_DOUBLE = frozenset(["can", "had", "her", "in", "that"])  # "a soda can can be heard"
PIECE = re.compile(r"\w+(?:[.'\u2019-]\w+)*|[,;:.!?]")  # words, and marks that keep phrases apart
OPTION = re.compile(r"[a-h]\) ")  # an answer by its letter goes on with a name, as the question had it
END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"')\u00bb\u201d\u2019]*$")
# What opens an answer, written as an opening where none is due: "then church bells, and then a No".
STRAY = re.compile(r"(?<=[\w,;] )(?:Yes|No|None|Nothing|First|Second|The|An|There|This)\b")
DANGLING = re.compile(r"\b(?:a|an|the)[,.;]")  # "then a, and finally a hen"
LONGEST_PHRASE = 24  # words that are looked for a second time
LONG = 12  # words: a text without its full stop is a name up to here, and was cut off beyond

EMPTY, REPEATED, STRAYED, UNFINISHED = "it is empty", "it repeats itself", "it begins again midway", "it breaks off"
SMALL, NO_STOP = "it begins with a small letter", "it ends without a full stop"
# What nobody would write. The other two are a manner, which a model learns from those who teach it.
NONSENSE = frozenset({EMPTY, REPEATED, STRAYED, UNFINISHED})


def faults(text: str, whole: bool = True) -> list[str]:
    """What keeps a text from being a good sentence. One that had to be short, and is not `whole`, may break off."""
    pieces = PIECE.findall(OPTION.sub("", text.lower(), count=1))
    words = [piece for piece in pieces if piece[0] not in ",;:.!?"]
    if not words:
        return [EMPTY]
    ended, name = END.search(text) is not None, OPTION.match(text) is not None
    cut_off = not ended and (words[-1] in LOOSE_ENDS or len(words) > LONG or text.endswith((",", ";")))
    checks = (
        (REPEATED, repeats(pieces)),
        (STRAYED, STRAY.search(text) is not None),
        (UNFINISHED, whole and (cut_off or DANGLING.search(text) is not None)),
        (SMALL, not name and text.lstrip("\"'(\u00ab\u201c\u2018")[:1].islower()),
        (NO_STOP, whole and not (cut_off or ended or name)),
    )
    return [fault for fault, found in checks if found]


def nonsense(text: str, whole: bool = True) -> list[str]:
    """The faults with which no text may leave."""
    return [fault for fault in faults(text, whole) if fault in NONSENSE]


def repeats(words: Sequence[str]) -> bool:
    """Whether a word or a phrase is said twice in a row, as when a model runs in a circle."""
    return any(
        words[at : at + size] == words[at + size : at + 2 * size] and not (size == 1 and words[at] in MAY_DOUBLE)
        for size in range(1, min(LONGEST_PHRASE, len(words) // 2) + 1)
        for at in range(len(words) - 2 * size + 1)
    )
