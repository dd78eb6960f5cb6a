"""Captions against reference captions: every figure the field reports.

Captions are cut into words as the field's programs cut them, so that scores can stand beside published ones. The
reference is the Penn Treebank tokenizer of Stanford CoreNLP 3.4.1 in lower case, less punctuation, as the COCO caption
evaluation runs it in Java; a test compares the two where Java is. What sentences about sounds hold is cut the same:
hyphens and slashes inside words, contractions, possessives, numbers, abbreviations, brackets, symbols. Names of
emoticons, files and addresses are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from samcli.evaluation.datasets import References
from samcli.evaluation.figures import SEED, Figure, interval, mean_interval, share
from samcli.evaluation.metrics import java_scores, sentences
from samcli.evaluation.metrics.text_scores import LONGEST, Words, bleu_counts, cider_d, meteor, rouge_l
from samcli.evaluation.predictions import Pair

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


def caption_figures(pairs: Sequence[Pair], truth: References) -> tuple[list[Figure], dict[str, Any]]:
    """Of what was said of each recording; the scores of each beside."""
    candidates = [caption_words(said.text) for _, said in pairs]
    references = [[caption_words(caption) for caption in item.captions] for item, _ in pairs]
    counts = bleu_counts(candidates, references)
    figures = []
    for n in range(1, LONGEST + 1):
        low, high = interval(_bleu_of(counts.score, n), len(pairs))
        figures.append(Figure(f"bleu_{n}", f"BLEU-{n}", counts.score(n), low, high, len(pairs)))
    both = list(zip(candidates, references, strict=True))
    figures.append(share("rouge_l", "ROUGE-L", [rouge_l(*pair) for pair in both]))
    figures += _meteor(candidates, references)
    cider = cider_d(candidates, references)
    figures.append(Figure("cider_d", "CIDEr-D", float(cider.mean()), *mean_interval(cider), len(pairs), plain=True))
    figures += _spice(candidates, references, cider)
    broken = [bool(sentences.faults(said.text)) for _, said in pairs]
    if sentences.has_sentence_model():
        like = sentences.likeness([said.text for _, said in pairs], [item.captions for item, _ in pairs])
        broken = like.broken.tolist()
        figures.append(share("similarity", "sentence similarity (MiniLM)", like.similarity))
        figures.append(share("fense_style", "FENSE-style: similarity, less where broken", like.fense))
    else:
        figures.append(Figure("similarity", "sentence similarity", None, note="needs pip install 'samcli[eval]'"))
    figures.append(share("broken", "broken sentences", broken, lower_is_better=True))
    details = {
        item.id: {"caption": said.text, "cider_d": score}
        for (item, said), score in zip(pairs, cider.tolist(), strict=True)
    }
    return figures, {"captions": details}


def _meteor(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[Figure]:
    """METEOR itself where its program is, and always what of it needs none, under a name of its own."""
    own = share(
        "meteor_like",
        "METEOR by words and stems, without synonyms",
        [meteor(*pair) for pair in zip(candidates, references, strict=True)],
    )
    missing = java_scores.why_no_meteor()
    if missing:
        return [Figure("meteor", "METEOR", None, note=missing), own]
    chance = np.random.default_rng(SEED)
    rows = [chance.integers(0, len(candidates), len(candidates)) for _ in range(java_scores.DRAWS)]
    found = java_scores.meteor_scores(candidates, references, rows)
    low, high = np.percentile(found.draws, [2.5, 97.5])
    return [Figure("meteor", "METEOR", found.score, float(low), float(high), len(candidates)), own]


def _spice(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]], cider: java_scores.Floats
) -> list[Figure]:
    """SPICE, and SPIDEr with it, where its program is."""
    missing = java_scores.why_no_spice()
    if missing:
        return [Figure("spice", "SPICE, and with it SPIDEr", None, note=missing)]
    spice = java_scores.spice_scores(candidates, references)
    spider = (cider + spice) / 2
    return [
        share("spice", "SPICE", spice),
        Figure("spider", "SPIDEr", float(spider.mean()), *mean_interval(spider), len(spider), plain=True),
    ]


def _bleu_of(score: Callable[..., float], n: int) -> Callable[[Any], float]:
    return lambda rows: score(n, rows)


def caption_words(text: str) -> tuple[str, ...]:
    """The words of a caption in lower case."""
    plain = DASHES.sub(" ", text.lower().translate(CURLY))
    found: list[str] = []
    for match in TOKEN.finditer(plain):
        word = BRACKETS.get(match[0], match[0])
        cut = TWO_WORDS.get(word, len(word))
        found += [word[:cut], word[cut:]] if cut < len(word) else [word]
    return tuple(found)
