"""Scores of sentences: equal to the field's own programs where they are installed, and right on cases done by hand."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.evaluation.metrics.text_scores import (
    Words,
    bleu_counts,
    cider_d,
    longest_common,
    meteor,
    rouge_l,
    stem,
    word_errors,
    words,
)

NOUNS = ["dog", "cat", "rain", "siren", "train", "man", "woman", "bird", "engine", "door"]
VERBS = ["barks", "barked", "barking", "falls", "wails", "passes", "speaks", "sings", "starts", "slams"]
REST = ["a", "the", "loudly", "then", "while", "and", "in", "background", "softly", "twice"]


def material(count: int = 60, seed: int = 1) -> tuple[list[Words], list[list[Words]]]:
    """Candidates and one to five references each, of everyday length, some empty or of one word."""
    rng = Random(seed)

    def sentence(shortest: int = 1) -> Words:
        return tuple(rng.choice(rng.choice((NOUNS, VERBS, REST))) for _ in range(rng.randint(shortest, 14)))

    candidates = [sentence() for _ in range(count)]
    references = [[sentence() for _ in range(rng.randint(1, 5))] for _ in range(count)]
    for place in range(0, count, 4):  # some agree in part
        references[place][0] = (*candidates[place][:4], *references[place][0][:3])
    return candidates, references


def as_coco(
    candidates: list[Words], references: list[list[Words]]
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    mine = {place: [" ".join(candidate)] for place, candidate in enumerate(candidates)}
    theirs = {place: [" ".join(other) for other in others] for place, others in enumerate(references)}
    return theirs, mine


def test_bleu_as_coco() -> None:
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu")
    candidates, references = material()
    expected, _ = bleu.Bleu(4).compute_score(*as_coco(candidates, references), verbose=0)
    counts = bleu_counts(candidates, references)
    assert [counts.score(n) for n in (1, 2, 3, 4)] == pytest.approx(expected, rel=1e-6)


def test_rouge_as_coco() -> None:
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge")
    candidates, references = material()
    mean, each = rouge.Rouge().compute_score(*as_coco(candidates, references))
    mine = [rouge_l(candidate, others) for candidate, others in zip(candidates, references, strict=True)]
    assert mine == pytest.approx(list(each))
    assert float(np.mean(mine)) == pytest.approx(mean)


def test_cider_as_coco() -> None:
    cider = pytest.importorskip("pycocoevalcap.cider.cider")
    candidates, references = material()
    mean, each = cider.Cider().compute_score(*as_coco(candidates, references))
    mine = cider_d(candidates, references)
    np.testing.assert_allclose(mine, each, rtol=1e-9, atol=1e-12)
    assert float(mine.mean()) == pytest.approx(mean)


def test_meteor_as_nltk() -> None:
    reference = pytest.importorskip("nltk.translate.meteor_score")

    class Stems:
        stem = staticmethod(stem)

    class NoSynonyms:
        def synsets(self, word: str) -> list[object]:
            return []

    candidates, references = material()
    for candidate, others in zip(candidates, references, strict=True):
        expected = reference.meteor_score(
            [list(o) for o in others], list(candidate), stemmer=Stems(), wordnet=NoSynonyms()
        )
        assert meteor(candidate, others) == pytest.approx(expected), (candidate, others)


def test_word_errors_as_jiwer() -> None:
    jiwer = pytest.importorskip("jiwer")
    candidates, references = material()
    for candidate, others in zip(candidates, references, strict=True):
        expected = jiwer.wer(" ".join(others[0]), " ".join(candidate))
        assert word_errors(candidate, others[0]) / len(others[0]) == pytest.approx(expected)


def test_by_hand() -> None:
    one, other = words("A dog barks, then it rains."), words("a dog barks while it rains")
    assert one == ("a", "dog", "barks", "then", "it", "rains")
    assert word_errors(one, other) == 1
    assert longest_common(one, other) == 5
    assert rouge_l(one, [other]) == pytest.approx(5 / 6)
    counts = bleu_counts([one], [[other]])
    assert counts.score(1) == pytest.approx(5 / 6)
    assert counts.score(2) == pytest.approx(math.sqrt(5 / 6 * 3 / 5))
    short = bleu_counts([one[:3]], [[other]])
    assert short.score(1) == pytest.approx(math.exp(1 - 6 / 3))  # all right, half the length
    assert stem("barking") == stem("barked") == stem("barks") == "bark"
    assert meteor(("barking",), [("barks",)]) == pytest.approx(0.5)  # one run of one match: half is taken off


def test_the_same_sentence_is_best() -> None:
    candidates, references = material()
    same = [[other] for other in candidates]
    assert bleu_counts(candidates, same).score(4) == pytest.approx(1.0)
    assert all(rouge_l(candidate, [candidate]) == pytest.approx(1) for candidate in candidates)
    best, given = cider_d(candidates, same), cider_d(candidates, references)
    assert best.mean() > given.mean()
    long = [place for place, candidate in enumerate(candidates) if len(candidate) >= 4]
    np.testing.assert_allclose(best[long], 10.0)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_distances(one: list[str], other: list[str]) -> None:
    a, b = tuple(one), tuple(other)
    errors, common = word_errors(a, b), longest_common(a, b)
    assert errors == word_errors(b, a)
    assert abs(len(a) - len(b)) <= errors <= max(len(a), len(b))
    assert max(len(a), len(b)) - common <= errors <= len(a) + len(b) - 2 * common
    assert 0 <= meteor(a, [b]) <= 1
    assert 0 <= rouge_l(a, [b]) <= 1


def test_nothing_said() -> None:
    assert bleu_counts([()], [[("a",)]]).score(1) == 0.0
    assert rouge_l((), [("a",)]) == 0.0
    assert meteor((), [("a",)]) == 0.0
    assert cider_d([()], [[("a", "b")]])[0] == 0.0
