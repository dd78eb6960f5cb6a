"""A question as words, and words as numbers.

A word is the sum of its pieces: hashes of its runs of three to five letters and of the whole. A word that was never
seen, or is misspelt, shares most of its pieces with one that was.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from zlib import crc32

from samcli.text.prompts import TYPOGRAPHIC

WORD = re.compile(r"\d+(?::\d+)*|[^\W\d_]+(?:['-][^\W\d_]+)*|[^\w\s]|_")
MOST_WORDS = 96
SHORTEST, LONGEST = 3, 5  # letters of a piece


def split(text: str) -> list[str]:
    """The words and marks of a text in plain lower case, as many as are read."""
    plain = unicodedata.normalize("NFKC", text.translate(TYPOGRAPHIC)).translate(TYPOGRAPHIC)
    return WORD.findall(plain.lower()[: 12 * MOST_WORDS])[:MOST_WORDS]


@lru_cache(maxsize=65536)
def pieces(word: str, buckets: int) -> tuple[int, ...]:
    """The places of a word's pieces in the table; place 0 is padding."""
    shape = "".join("0" if character.isdigit() else character for character in word)[:24]
    marked = f"<{shape}>"
    grams = {marked}
    for size in range(SHORTEST, LONGEST + 1):
        grams.update(marked[at : at + size] for at in range(len(marked) - size + 1))
    return tuple(sorted({1 + crc32(gram.encode()) % (buckets - 1) for gram in grams}))
