"""The search on a card finds what the search on the processor finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from samcli.ssm.fast import beams as card
from samcli.ssm.language import generation as beams
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.generation import GenerationOptions
from samcli.ssm.language.model import LanguageModel

VOCABULARY = 13


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(11)
    model = LanguageModel(LanguageConfig(16, 2, VOCABULARY, d_state=4, headdim=8, tie_embeddings=False))
    model = model.double().eval().requires_grad_(False)
    model.backbone.embedding.weight.mul_(50)
    model.lm_head.weight.mul_(4)
    return model


OPTIONS = st.builds(
    GenerationOptions,
    max_new_tokens=st.integers(1, 20),
    min_new_tokens=st.integers(0, 3),
    stop_tokens=st.sampled_from([(), (1,), (1, 4), (0, 2, 5)]),
    suppressed=st.sampled_from([(), (3, 7)]),
    beams=st.integers(2, 4),
    length_penalty=st.sampled_from([0.0, 0.7, 1.0, 2.0]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    no_repeat_ngram=st.sampled_from([0, 1, 2, 3]),
)


@given(options=OPTIONS, rows=st.integers(1, 4), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_both_searches_find_the_same(model: LanguageModel, options: GenerationOptions, rows: int, seed: int) -> None:
    prompt = torch.randint(0, VOCABULARY, (rows, 5), generator=torch.Generator().manual_seed(seed))
    logits, state = model.prefill(prompt)
    assert card.beam_candidates(model, state, logits, options) == beams.beam_candidates(model, state, logits, options)


def test_words_that_run_out_are_said_again(model: LanguageModel) -> None:
    """Eleven words may be said, each once; the twelfth has to be one of them, in both searches."""
    options = GenerationOptions(max_new_tokens=12, suppressed=(3, 7), beams=2, length_penalty=0.0, no_repeat_ngram=1)
    logits, state = model.prefill(torch.randint(0, VOCABULARY, (1, 5), generator=torch.Generator().manual_seed(0)))
    (found,) = card.beam_candidates(model, state, logits, options)
    assert [found] == beams.beam_candidates(model, state, logits, options)
    assert [(len(text), len(set(text))) for text in found] == [(12, 11)] * 2


def test_the_state_that_was_given_is_not_touched(model: LanguageModel) -> None:
    logits, state = model.prefill(torch.tensor([[1, 2, 3]]))
    before = [leaf.clone() for block in state for leaf in block]
    options = GenerationOptions(max_new_tokens=6, beams=2)
    first = card.beam_candidates(model, state, logits, options)
    assert all(torch.equal(a, b) for a, b in zip(before, (leaf for block in state for leaf in block), strict=True))
    assert card.beam_candidates(model, state, logits, options) == first


def test_numbers_that_run_out_are_told(model: LanguageModel) -> None:
    logits, state = model.prefill(torch.tensor([[1, 2, 3]]))
    with pytest.raises(FloatingPointError):
        card.beam_candidates(model, state, logits * float("nan"), GenerationOptions(max_new_tokens=3, beams=2))


class Waits(TorchDispatchMode):
    """Counts what makes a processor wait for a card: numbers read, and sizes that depend on them."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += any(name in str(function) for name in self.WAITING)
        return function(*args, **(kwargs or {}))


def test_the_processor_is_asked_every_eighth_token(model: LanguageModel) -> None:
    """Whether all rows are done; and at the end whether all scores were finite."""

    class Silent:
        """Steps of no model, which wait for nothing."""

        vocab_size = VOCABULARY

        def step(self, tokens: Tensor, state: Any, owned: bool = False) -> tuple[Tensor, Any]:
            return torch.eye(VOCABULARY)[tokens], state

    options = GenerationOptions(max_new_tokens=24, beams=3, stop_tokens=(1,), no_repeat_ngram=3, suppressed=(2,))
    search: Any = Silent()
    with Waits() as waits:
        card.beam_candidates(search, torch.zeros(2, 1), torch.randn(2, VOCABULARY), options)
    assert waits.count == 24 // 8 - 1 + 1
