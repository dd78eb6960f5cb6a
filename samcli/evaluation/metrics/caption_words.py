"""Captions cut into words as the field's programs cut them, so that scores can stand beside published ones.

The reference is the Penn Treebank tokenizer of Stanford CoreNLP 3.4.1 in lower case, less punctuation, as the COCO
caption evaluation runs it in Java; a test compares the two where Java is. What sentences about sounds hold is cut the
same: hyphens and slashes inside words, contractions, possessives, numbers, abbreviations, brackets, symbols. Names
of emoticons, files and addresses are not looked for.
"""

from __future__ import annotations

import re

CLITICS = r"n't|'(?:s|m|d|re|ve|ll)"
TOKEN = re.compile(
    rf"""
    (?:[a-z]\.)+[a-z]\.(?!\w) | \b(?:mr|mrs|ms|dr|st|vs|etc|jr|sr|prof|mt|inc|ltd|co)\.(?=\s|$|[,;:])
    | \d+(?:[.,:/]\d+)+(?![\w-]) | <[a-z]+>
    | (?:'t)(?=is\b|was\b) | y'(?=all\b) | o'clock\b | (?<=[a-z])'n'(?=[a-z])
    | [@\#](?=[a-z])\w+
    | {CLITICS}(?!\w)
    | [^\W_](?:(?!{CLITICS}(?!\w))(?:\w|[-/](?=\w)|\.(?=[^\W\d_])))*
    | [?!]{{2,}} | [%$&*+=\#@£€|~^<>()\[\]{{}}]
    """,
    re.VERBOSE,
)
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
TWO_WORDS = {"cannot": 3, "gonna": 3, "gotta": 3, "wanna": 3, "gimme": 3, "lemme": 3}  # letters of the first
CURLY = str.maketrans("\u2018\u2019\u201c\u201d", "''\"\"")
DASHES = re.compile(r"\u2014|\u2013|-{2,}|\.{2,}|\u2026")


def caption_words(text: str) -> tuple[str, ...]:
    """The words of a caption in lower case."""
    plain = DASHES.sub(" ", text.lower().translate(CURLY))
    found: list[str] = []
    for match in TOKEN.finditer(plain):
        word = BRACKETS.get(match[0], match[0])
        cut = TWO_WORDS.get(word, len(word))
        found += [word[:cut], word[cut:]] if cut < len(word) else [word]
    return tuple(found)
