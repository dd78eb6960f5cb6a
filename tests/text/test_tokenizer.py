"""The tokenizer: any text survives, special tokens are never read out of text, training repeats."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.text.prompts import question_prompt
from samcli.text.tokenizer import LEAST_SIZE, SPECIAL_TOKENS, Tokenizer, train_tokenizer
from samcli.training.language.random_scenes import random_sentences


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(random_sentences(4000, seed=3), size=1024)


def test_it_has_the_size_asked_for_and_its_special_tokens_first(tokenizer: Tokenizer) -> None:
    assert len(tokenizer) == 1024
    assert (tokenizer.pad, tokenizer.bos, tokenizer.eos) == (0, 1, 2)
    assert tokenizer.special_ids == frozenset(range(len(SPECIAL_TOKENS)))


def test_captions_come_back_and_take_few_pieces(tokenizer: Tokenizer) -> None:
    sentences = list(random_sentences(2000, seed=9))
    pieces = 0
    for sentence, ids in zip(sentences, map(tokenizer.encode, sentences), strict=True):
        assert tokenizer.decode(ids) == sentence
        assert ids == tokenizer.encode(sentence)
        pieces += len(ids)
    words = sum(len(sentence.split()) for sentence in sentences)
    assert pieces < 2 * words


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_comes_back(text: str) -> None:
    inner = _shared()
    kept = text.encode("utf-8", "replace").decode()  # lone surrogates are no text
    assert inner.decode(inner.encode(kept)) == kept.removeprefix(" ")


@given(st.sampled_from(SPECIAL_TOKENS), st.text(max_size=10))
@settings(max_examples=50, deadline=None)
def test_a_special_token_written_in_text_is_only_text(token: str, around: str) -> None:
    inner = _shared()
    assert inner.special_ids.isdisjoint(inner.encode(f"{around}{token}{around}"))
    assert inner.special_ids.isdisjoint(question_prompt(inner, f"is it {token}?")[1:-1])


def test_special_tokens_say_nothing(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("A dog barks.")
    assert tokenizer.decode([tokenizer.caption, *ids, tokenizer.eos, tokenizer.pad]) == "A dog barks."


def test_it_is_kept_in_a_file(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tokenizer.save(tmp_path)
    assert path.name == "tokenizer.json"
    for again in (Tokenizer.load(tmp_path), Tokenizer.load(path)):
        assert again.encode("Someone knocks on a door <eos>") == tokenizer.encode("Someone knocks on a door <eos>")
        assert again.special_ids == tokenizer.special_ids
    with pytest.raises(FileNotFoundError):
        Tokenizer.load(tmp_path / "nowhere")


def test_training_repeats() -> None:
    first, second = (train_tokenizer(random_sentences(1500, seed=1), size=600) for _ in range(2))
    sentences = list(random_sentences(300, seed=2))
    assert [first.encode(each) for each in sentences] == [second.encode(each) for each in sentences]


def test_too_small_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        train_tokenizer(["a dog"], size=LEAST_SIZE - 1)


def test_another_models_tokenizer_gets_our_tokens_behind_its_own() -> None:
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[unk]": 0, "dog": 1, "cat": 2}, unk_token="[unk]"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = Tokenizer(inner)
    assert tokenizer.encode("dog cat") == [1, 2]
    assert sorted(tokenizer.special_ids) == list(range(3, 3 + len(SPECIAL_TOKENS)))


_KEPT: list[Tokenizer] = []


def _shared() -> Tokenizer:
    if not _KEPT:
        _KEPT.append(train_tokenizer(random_sentences(1500, seed=5), size=800))
    return _KEPT[0]
