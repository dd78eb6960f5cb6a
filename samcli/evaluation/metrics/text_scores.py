"""Scores of sentences against reference sentences: BLEU, ROUGE-L, METEOR-like, CIDEr-D, and word errors.

BLEU, ROUGE-L and CIDEr-D are defined as in the COCO caption evaluation, which the audio captioning field reports.
METEOR here matches words and their stems, not synonyms, because those need WordNet; it is named apart for that reason.
All work on words as `words` splits them: lower case, without punctuation.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
LONGEST = 4  # words of an n-gram
ROUGE_BETA = 1.2  # weight of recall
CIDER_SIGMA = 6.0  # words of difference in length at which a score has fallen to 0.61
METEOR_ALPHA, METEOR_BETA, METEOR_GAMMA = 0.9, 3.0, 0.5  # precision against recall; penalty of scattered matches
SUFFIXES = ("ingly", "edly", "ing", "ies", "ed", "es", "ly", "s")

Words = tuple[str, ...]
Gram = tuple[str, ...]
Floats = NDArray[np.float64]


def words(text: str) -> Words:
    return tuple(match.group().replace("’", "'") for match in WORD.finditer(text.lower()))


def grams(sentence: Words) -> Counter[Gram]:
    """Every run of 1 to LONGEST words, with how often it occurs."""
    return Counter(
        sentence[at : at + length] for length in range(1, LONGEST + 1) for at in range(len(sentence) - length + 1)
    )


class BleuCounts(NamedTuple):
    """What BLEU adds up over sentences before it divides."""

    right: Floats  # (sentences, LONGEST): n-grams that a reference has too
    made: Floats  # (sentences, LONGEST)
    length: Floats  # (sentences,)
    reference_length: Floats  # (sentences,): of the reference closest in length

    def score(self, longest: int, rows: NDArray[np.int64] | slice = slice(None)) -> float:
        """BLEU-n of all these sentences as one text."""
        right, made = self.right[rows].sum(0)[:longest], self.made[rows].sum(0)[:longest]
        length, reference = float(self.length[rows].sum()), float(self.reference_length[rows].sum())
        if not length or not right.all():
            return 0.0
        brevity = min(0.0, 1 - reference / length)
        return math.exp(brevity + float(np.log(right / made).mean()))


def bleu_counts(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> BleuCounts:
    right, made, closest = [], [], []
    for candidate, others in zip(candidates, references, strict=True):
        most: Counter[Gram] = Counter()
        for other in others:
            most |= grams(other)
        both = grams(candidate) & most
        right.append([sum(count for gram, count in both.items() if len(gram) == n) for n in range(1, LONGEST + 1)])
        made.append([max(0, len(candidate) - n + 1) for n in range(1, LONGEST + 1)])
        closest.append(min((abs(len(other) - len(candidate)), len(other)) for other in others)[1])
    lengths = [len(candidate) for candidate in candidates]
    return BleuCounts(*(np.array(part, np.float64) for part in (right, made, lengths, closest)))


def rouge_l(candidate: Words, references: Sequence[Words]) -> float:
    """By the longest common subsequence; the best precision and the best recall may come from two references."""
    common = [longest_common(candidate, other) for other in references]
    precision = max((hit / len(candidate) for hit in common), default=0.0) if candidate else 0.0
    recall = max((hit / len(other) for hit, other in zip(common, references, strict=True) if other), default=0.0)
    if not precision or not recall:
        return 0.0
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def longest_common(one: Words, other: Words) -> int:
    """Words of the longest subsequence that both have."""
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for at, theirs in enumerate(other, 1):
            above = row[at]
            row[at] = diagonal + 1 if word == theirs else max(above, row[at - 1])
            diagonal = above
    return row[-1]


def meteor(candidate: Words, references: Sequence[Words]) -> float:
    """Matches of words, then of stems, weighted towards recall and against scattered order; of the best reference."""
    return max((_meteor(candidate, other) for other in references), default=0.0)


def stem(word: str) -> str:
    """A word without its commonest endings: barks, barked and barking are one."""
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            root = word.removesuffix(suffix)
            return root[:-1] if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeiouls" else root
    return word


def _meteor(candidate: Words, reference: Words) -> float:
    pairs: list[tuple[int, int]] = []
    mine, theirs = list(enumerate(candidate)), list(enumerate(reference))
    for form in (str, stem):
        # From the end, each word takes the last word of the reference that is still free.
        for place, word in reversed(mine[:]):
            match = next((entry for entry in reversed(theirs) if form(entry[1]) == form(word)), None)
            if match is not None:
                pairs.append((place, match[0]))
                mine.remove((place, word))
                theirs.remove(match)
    if not pairs:
        return 0.0
    pairs.sort()
    precision, recall = len(pairs) / len(candidate), len(pairs) / len(reference)
    mean = precision * recall / (METEOR_ALPHA * precision + (1 - METEOR_ALPHA) * recall)
    runs = 1 + sum(after != (at + 1, to + 1) for (at, to), after in pairwise(pairs))
    return mean * (1 - METEOR_GAMMA * float((runs / len(pairs)) ** METEOR_BETA))


def cider_d(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> Floats:
    """CIDEr-D of each sentence, 0 to 10: agreement in n-grams, rare ones counting more, over all its references.

    How rare a gram is, is counted in these very references, so a score holds for one set of items only.
    """
    seen: Counter[Gram] = Counter()
    for others in references:
        seen.update({gram for other in others for gram in grams(other)})
    log_items = math.log(max(1, len(references)))
    scores = [
        10 * float(np.mean([_cider_pair(candidate, other, seen, log_items) for other in others]))
        for candidate, others in zip(candidates, references, strict=True)
    ]
    return np.array(scores, np.float64)


def _cider_pair(candidate: Words, reference: Words, seen: Counter[Gram], log_items: float) -> float:
    mine, theirs = (_weighted(sentence, seen, log_items) for sentence in (candidate, reference))
    total = 0.0
    for n in range(1, LONGEST + 1):
        # Clipping keeps a sentence from gaining by repeating a word that the reference has once.
        agreement = sum(
            min(weight, theirs[n].get(gram, 0.0)) * theirs[n].get(gram, 0.0) for gram, weight in mine[n].items()
        )
        norms = _norm(mine[n]) * _norm(theirs[n])
        total += agreement / norms if norms else 0.0
    difference = len(candidate) - len(reference)
    if max(len(candidate), len(reference)) < 2:
        difference = 0  # length is counted in word pairs
    return total / LONGEST * math.exp(-(difference**2) / (2 * CIDER_SIGMA**2))


def _weighted(sentence: Words, seen: Counter[Gram], log_items: float) -> dict[int, dict[Gram, float]]:
    """By length, each gram's count times the logarithm of its rarity."""
    weights: dict[int, dict[Gram, float]] = {n: {} for n in range(1, LONGEST + 1)}
    for gram, count in grams(sentence).items():
        weights[len(gram)][gram] = count * (log_items - math.log(max(1, seen[gram])))
    return weights


def _norm(weights: dict[Gram, float]) -> float:
    return math.sqrt(sum(weight**2 for weight in weights.values()))


def word_errors(candidate: Words, reference: Words) -> int:
    """The fewest words to put in, leave out or replace to turn one into the other."""
    row = list(range(len(reference) + 1))
    for at, word in enumerate(candidate, 1):
        diagonal, row[0] = row[0], at
        for to, theirs in enumerate(reference, 1):
            above = row[to]
            row[to] = min(diagonal + (word != theirs), above + 1, row[to - 1] + 1)
            diagonal = above
    return row[-1]
