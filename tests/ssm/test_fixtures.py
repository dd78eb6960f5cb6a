"""Parity with the authors' own code, through tensors it made."""

from __future__ import annotations

import pytest
import torch

from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.generation import GenerationOptions, generate
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.language.phi import PhiConfig, PhiLanguageModel
from samcli.ssm.state import State

CONFIGS = {
    "mamba1_lm": LanguageConfig(32, 3, 53, d_state=16, pad_vocab_size_multiple=8, layer="mamba"),
    "mamba2_lm": LanguageConfig(32, 3, 53, d_state=16, headdim=16, chunk_size=8),
}


def close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 3e-5) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def same_state(state: State, case: dict[str, torch.Tensor], prefix: str) -> None:
    for layer, block in enumerate(state):
        close(block.ssm, case[f"{prefix}.{layer}.ssm"])
        # the authors keep four inputs, (batch, channels, 4); three are needed
        close(block.tail, case[f"{prefix}.{layer}.conv"][:, :, 1:].transpose(1, 2))


@pytest.fixture(params=CONFIGS)
def language(request: pytest.FixtureRequest, authors: type) -> tuple[LanguageModel, dict[str, torch.Tensor]]:
    fixture = authors(request.param)
    model = LanguageModel(CONFIGS[request.param])
    model.load_state_dict(fixture.weights)
    return model.requires_grad_(False), fixture.case


def test_logits_and_what_lies_between(language: tuple[LanguageModel, dict[str, torch.Tensor]]) -> None:
    model, case = language
    logits, state = model(case["input"])
    close(logits, case["output"])
    same_state(state, case, "state_after_prompt")
    embeddings = model.embed(case["input"])
    close(embeddings, case["embedding"])
    first = model.backbone.layers[0]
    close(first.mixer(first.norm(embeddings))[0], case["layers.0.mixer"])
    close(model.read(case["input"])[0], case["norm_f"])


def test_a_prompt_in_two_pieces(language: tuple[LanguageModel, dict[str, torch.Tensor]]) -> None:
    model, case = language
    logits, state = model(case["input"][:, :13])
    close(logits, case["chunk1_logits"])
    same_state(state, case, "state_after_chunk1")
    logits, state = model(case["input"][:, 13:], state=state)
    close(logits, case["chunk2_logits"])
    same_state(state, case, "state_after_prompt")


def test_decoding(language: tuple[LanguageModel, dict[str, torch.Tensor]]) -> None:
    model, case = language
    spoken = generate(model, None, case["input"], GenerationOptions(max_new_tokens=8))
    assert spoken == case["greedy_tokens"].tolist()
    _, state = model.prefill(case["input"])
    for i, tokens in enumerate(case["greedy_tokens"].T):
        logits, state = model.step(tokens, state)
        close(logits, case["decode_step_logits"][:, i])


def test_a_prompt_shorter_than_the_convolution(language: tuple[LanguageModel, dict[str, torch.Tensor]]) -> None:
    model, case = language
    logits, state = model(case["input"][:, :2])
    close(logits, case["short_prompt_logits"])
    for i in range(2):
        logits, state = model(case["input"][:, 2 + i : 3 + i], state=state)
        close(logits[:, 0], case["short_prompt_step_logits"][:, i])


PHI = PhiConfig(32, 2, 45, d_state=8, heads=4, qk_heads=4, chunk_size=8)


def test_phi_mamba(authors: type) -> None:
    fixture = authors("phi_mamba")
    model, case = PhiLanguageModel(PHI).requires_grad_(False), fixture.case
    model.load_state_dict(fixture.weights)
    block = model.backbone.layers[0]
    close(block(case["input"])[0], case["output"])
    h = block.input_layernorm(case["input"])
    close(block.mixer(h)[0], case["mixer_output"])
    close(block.mixer.transfer_matrix(h), case["transfer_matrix"])
    close(model(case["input_ids"])[0], case["logits"])
    logits, state = model(case["input_ids"][:, :11])
    close(logits, case["chunk1_logits"])
    same_state(state[:1], case, "state_after_chunk1")
    for i in range(8):
        logits, state = model.step(case["input_ids"][:, 11 + i], state)
        close(logits, case["chunk2_logits"][:, i])
