"""The language model: pieces, padding on either side, embeddings among tokens, logits only where they are wanted."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.language.phi import PhiConfig, PhiLanguageModel
from samcli.ssm.language.reader import RecurrentReader
from samcli.ssm.state import State

PHI = {
    "phi": PhiConfig(16, 2, 29, d_state=4, heads=4, qk_heads=2),
    "phi llama": PhiConfig(
        16, 2, 29, d_state=4, heads=4, qk_heads=4, block="llama", norm="rms", mlp="gated-silu", mlp_width=24, bias=False
    ),
    "phi neox": PhiConfig(16, 2, 29, d_state=4, heads=4, qk_heads=4, block="neox", mlp="gelu"),
}
KINDS = ["mamba2", "mamba", "convolution", *PHI]


def model_of(kind: str) -> RecurrentReader:
    torch.manual_seed(1)
    if kind in PHI:
        return PhiLanguageModel(PHI[kind]).double().requires_grad_(False)
    config = LanguageConfig(16, 2, 29, d_state=4, headdim=8, layer=kind)
    return LanguageModel(config).double().requires_grad_(False)


def tokens_of(batch: int, length: int) -> torch.Tensor:
    return torch.randint(0, 29, (batch, length), generator=torch.Generator().manual_seed(length))


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-10)


def same_state(a: State, b: State) -> None:
    for x, y in zip(a, b, strict=True):
        close(x.ssm, y.ssm)
        close(x.tail, y.tail)


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4), piece=st.sampled_from([1, 3, 5, 64]))
@settings(max_examples=10, deadline=None)
def test_prefill_of_ragged_rows_in_any_pieces(kind: str, lengths: list[int], piece: int) -> None:
    model, tokens = model_of(kind), tokens_of(len(lengths), max(lengths))
    logits, state = model.prefill(tokens, lengths=torch.tensor(lengths), piece=piece)
    for row, valid in enumerate(lengths):
        alone, end = model(tokens[row : row + 1, :valid])
        close(logits[row], alone[0, -1])
        same_state(tuple(type(s)(*(leaf[row : row + 1] for leaf in s)) for s in state), end)


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=4), carried=st.booleans())
@settings(max_examples=10, deadline=None)
def test_left_padding_is_right_padding_moved(kind: str, lengths: list[int], carried: bool) -> None:
    model, size = model_of(kind), max(*lengths, 1)
    tokens, count = tokens_of(len(lengths), size), torch.tensor(lengths)
    before = model.prefill(tokens_of(len(lengths), 6))[1] if carried else None
    right, end = model(tokens, state=before, lengths=count)
    moved = torch.stack([row.roll(size - n) for row, n in zip(tokens, lengths, strict=True)])
    left, end_left = model(moved, state=before, lengths=count, padding="left")
    for row, valid in enumerate(lengths):
        close(left[row, size - valid :], right[row, :valid])
    same_state(end_left, end)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_only_where_they_are_wanted(kind: str) -> None:
    model, tokens, lengths = model_of(kind), tokens_of(3, 8), torch.tensor([8, 3, 5])
    logits, _ = model(tokens, lengths=lengths)
    close(model(tokens, lengths=lengths, last_only=True)[0], logits[torch.arange(3), lengths - 1])
    chosen = torch.rand(3, 8, generator=torch.Generator().manual_seed(0)) > 0.6
    close(model(tokens, lengths=lengths, positions=chosen)[0], logits[chosen])


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_stand_for_tokens(kind: str) -> None:
    model, tokens = model_of(kind), tokens_of(2, 9)
    close(model(embeddings=model.embed(tokens))[0], model(tokens)[0])
    close(model.prefill(embeddings=model.embed(tokens), piece=4)[0], model.prefill(tokens)[0])
    with pytest.raises(ValueError):
        model(tokens, embeddings=model.embed(tokens))
    with pytest.raises(ValueError):
        model()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_state_is_no_state(kind: str) -> None:
    model, tokens = model_of(kind), tokens_of(2, 5)
    logits, state = model(tokens, state=model.initial_state(2))
    expected, end = model(tokens)
    close(logits, expected)
    same_state(state, end)


def test_training_in_half_precision_follows_single() -> None:
    torch.manual_seed(0)
    model = LanguageModel(LanguageConfig(32, 2, 29, d_state=8, headdim=16))
    tokens, lengths = tokens_of(4, 20), torch.tensor([20, 7, 13, 1])

    def gradient(half: bool) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits, _ = model(tokens, lengths=lengths)
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens.flatten())
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        assert all(g.isfinite().all() for g in gradients)
        return torch.cat([g.flatten() for g in gradients])

    single, half = gradient(False), gradient(True)
    assert torch.cosine_similarity(single, half, dim=0) > 0.999


def test_the_residual_stream_and_the_state_stay_in_float32() -> None:
    model = LanguageModel(LanguageConfig(32, 4, 29, d_state=8, headdim=16)).to(torch.bfloat16).requires_grad_(False)
    seen: list[torch.dtype] = []
    for layer in model.backbone.layers:
        layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    _, state = model.prefill(tokens_of(2, 9))
    _, state = model.step(tokens_of(2, 1)[:, 0], state)
    assert set(seen) <= {torch.float32}
    assert all(leaf.dtype == torch.float32 for block in state for leaf in block)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prepared_model_gives_the_same_numbers(kind: str) -> None:
    plain, prepared, tokens = model_of(kind).float(), model_of(kind).float().eval(), tokens_of(3, 20)
    prepared.prepare()
    expected, state = plain.prefill(tokens)
    logits, ours = prepared.prefill(tokens)
    for t in range(4):
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        expected, state = plain.step(tokens[:, t], state)
        logits, ours = prepared.step(tokens[:, t], ours, owned=t > 0)


def test_a_projection_may_look_at_the_whole_batch_while_speaking() -> None:
    class Watching(torch.nn.Module):
        def __init__(self, dense: torch.nn.Linear) -> None:
            super().__init__()
            self.dense, self.shapes = dense, set[int]()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.shapes.add(x.dim())
            return self.dense(x)

    model, tokens = model_of("mamba2").eval(), tokens_of(2, 5)
    _, state = model.prefill(tokens)
    expected, _ = model.step(tokens[:, 0], state)
    for layer in model.backbone.layers:
        layer.mixer.in_proj = Watching(layer.mixer.in_proj)
    model.prepare()
    close(model.step(tokens[:, 0], state)[0], expected)
    assert all(layer.mixer.in_proj.shapes == {3} for layer in model.backbone.layers)


def test_the_defaults_are_the_smallest_published_model() -> None:
    """Mamba-2 of 130 million weights: 24 layers, and GPT-NeoX's 50,277 tokens in 50,288 rows."""
    assert (LanguageConfig().vocab_size, LanguageConfig().padded_vocab_size) == (50277, 50288)
    with torch.device("meta"):
        model = LanguageModel(LanguageConfig())
    assert sum(weight.numel() for weight in model.parameters()) == 128_989_632
