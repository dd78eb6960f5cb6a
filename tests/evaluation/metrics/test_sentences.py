"""Sentence vectors that know meaning, rows that do not know of each other, and faults of generated sentences."""

from __future__ import annotations

import numpy as np
import pytest

from samcli.evaluation.metrics.sentences import faults, has_sentence_model, likeness, sentence_vectors, text_tag_scores

installed = pytest.mark.skipif(not has_sentence_model(), reason="the sentence model is not installed")


@installed
def test_meaning() -> None:
    like = likeness(
        ["A dog barks.", "A dog barks.", "A dog barks and and"],
        [["A dog is barking loudly."], ["Rain falls on a tin roof."], ["A dog is barking loudly.", "a dog barks"]],
    )
    assert like.similarity[0] > 0.7
    assert like.similarity[1] < 0.3
    assert like.broken.tolist() == [False, False, True]
    assert like.fense[2] == pytest.approx(0.1 * like.similarity[2])


@installed
def test_vectors_do_not_depend_on_company() -> None:
    sentences = ["dog", "A long sentence about rain that falls on a roof in the night.", "a siren wails", ""]
    embed = sentence_vectors()
    together = embed(sentences)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    for row, sentence in enumerate(sentences):
        np.testing.assert_allclose(embed([sentence])[0], together[row], atol=1e-5)


@pytest.mark.slow
@installed
def test_vectors_as_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    from samcli.evaluation.metrics import sentences

    spec = sentences.find_spec(sentences.PACKAGE)
    folder = next(iter(spec.submodule_search_locations)) + "/model"
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(
        ["a dog barks", "heavy rain on a roof"], padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        hidden = model(**tokens).last_hidden_state
    mask = tokens["attention_mask"][..., None]
    mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    np.testing.assert_allclose(sentence_vectors()(["a dog barks", "heavy rain on a roof"]), mean.numpy(), atol=1e-5)


@installed
def test_tags_of_text() -> None:
    scores = text_tag_scores(["A dog barks in a yard.", "Someone plays a guitar."], ["Guitar", "Dog", "Rain"])
    assert scores.argmax(1).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("A dog barks.", []),
        ("Rain.", []),
        ("A dog barking and birds singing.", []),
        ("A man speaks and a.", ["unfinished"]),
        ("A dog dog barks.", ["repeated"]),
        ("A dog barks and then a dog barks and then it rains.", ["repeated"]),
        ("A dog barks and then another dog barks.", []),
        ("A dog barks then a dog barks then", ["unfinished", "repeated"]),
        ("the green of the night", ["no verb"]),
        ("", ["empty"]),
    ],
)
def test_faults(sentence: str, found: list[str]) -> None:
    assert faults(sentence) == found
