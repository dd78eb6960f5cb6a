"""The contract of every recurrent block: any cut, any padding and any neighbour give what one pass alone gives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from samcli.ssm.convolution import GatedConvolution, GatedConvolutionConfig, causal_convolution
from samcli.ssm.language.phi import DiscreteMamba2, PhiConfig
from samcli.ssm.mamba import Mamba, MambaConfig
from samcli.ssm.mamba2 import Mamba2, Mamba2Config
from samcli.ssm.mamba3 import Mamba3, Mamba3Config
from samcli.ssm.scan import selective_scan
from samcli.ssm.state import BlockState, select

WIDTH = 8
BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "mamba2": lambda: Mamba2(Mamba2Config(WIDTH, d_state=6, headdim=4)),
    "mamba2 groups, short chunks": lambda: Mamba2(Mamba2Config(WIDTH, d_state=3, headdim=2, ngroups=4, chunk_size=5)),
    "mamba3": lambda: Mamba3(Mamba3Config(WIDTH, d_state=6, headdim=4, turned=1.0)),
    "mamba3 groups, short chunks": lambda: Mamba3(Mamba3Config(WIDTH, d_state=4, headdim=2, ngroups=4, chunk_size=5)),
    "mamba": lambda: Mamba(MambaConfig(WIDTH, d_state=5)),
    "convolution": lambda: GatedConvolution(GatedConvolutionConfig(WIDTH)),
    "phi": lambda: DiscreteMamba2(PhiConfig(WIDTH, heads=4, qk_heads=2, d_state=3)),
}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}


def block_of(kind: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(3)
    return BLOCKS[kind]().to(dtype).requires_grad_(False)


def sound(batch: int, length: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(batch, length, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(
        dtype
    )


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    assert actual.shape == expected.shape
    scale = expected.abs().max().clamp(min=1e-3) if expected.numel() else torch.tensor(1.0)
    assert not actual.numel() or (actual - expected).abs().max() <= TOLERANCE[actual.dtype] * scale


def same_state(actual: BlockState, expected: BlockState) -> None:
    for a, b in zip(actual, expected, strict=True):
        close(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", BLOCKS)
@given(length=st.integers(1, 30), cuts=st.lists(st.integers(1, 29), max_size=5), seed=st.integers(0, 9))
@settings(max_examples=12, deadline=None)
def test_any_cut_equals_one_pass(kind: str, dtype: torch.dtype, length: int, cuts: list[int], seed: int) -> None:
    block, x = block_of(kind, dtype), sound(2, length, seed, dtype)
    whole, end = block(x)
    state, pieces = None, []
    for start, stop in itertools.pairwise(sorted({0, length, *(cut for cut in cuts if cut < length)})):
        y, state = block(x[:, start:stop], state)
        pieces.append(y)
    close(torch.cat(pieces, dim=1), whole)
    same_state(state, end)


@pytest.mark.parametrize("kind", BLOCKS)
def test_one_token_at_a_time_equals_one_pass(kind: str) -> None:
    block, x = block_of(kind), sound(2, 14)
    whole, end = block(x)
    state = block.initial_state(2)
    for t in range(14):
        y, state = block(x[:, t : t + 1], state)
        close(y, whole[:, t : t + 1])
    same_state(state, end)


@pytest.mark.parametrize("kind", BLOCKS)
@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4), carried=st.booleans())
@settings(max_examples=15, deadline=None)
def test_rows_of_a_padded_batch_are_what_they_are_alone(kind: str, lengths: list[int], carried: bool) -> None:
    block, size = block_of(kind), max(*lengths, 1)
    x = sound(len(lengths), size)
    before = block(sound(len(lengths), 5, seed=1))[1] if carried else None
    y, state = block(x, before, torch.tensor(lengths))
    for row, valid in enumerate(lengths):
        fresh = block.initial_state(1) if before is None else select(before, [row])
        alone_y, alone = block(x[row : row + 1, :valid], fresh) if valid else (x[:1, :0], fresh)
        close(y[row : row + 1, :valid], alone_y)
        same_state(select(state, [row]), alone)


@pytest.mark.parametrize("kind", BLOCKS)
def test_padding_leaves_no_trace(kind: str) -> None:
    block, x, lengths = block_of(kind), sound(3, 11), torch.tensor([11, 4, 0])
    loud = x.clone()
    loud[1, 4:], loud[2] = 1e3, -1e3
    quiet, noisy = block(x, None, lengths), block(loud, None, lengths)
    assert torch.equal(quiet[0][1, :4], noisy[0][1, :4])
    for a, b in zip(quiet[1], noisy[1], strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", BLOCKS)
def test_gradients_cross_a_cut(kind: str) -> None:
    block, x = block_of(kind).requires_grad_(True), sound(1, 8).requires_grad_()

    def gradients(cut: int | None) -> list[torch.Tensor]:
        if cut is None:
            y, _ = block(x)
        else:
            first, state = block(x[:, :cut])
            second, _ = block(x[:, cut:], state)
            y = torch.cat([first, second], dim=1)
        return list(torch.autograd.grad(y.sin().sum(), [x, *block.parameters()]))

    whole = gradients(None)
    assert all(gradient.abs().max() > 0 for gradient in whole)
    for cut in (1, 5, 7):
        for a, b in zip(gradients(cut), whole, strict=True):
            close(a, b)


@pytest.mark.parametrize("kind", BLOCKS)
def test_half_precision_weights_keep_a_float32_state(kind: str) -> None:
    block, x = block_of(kind, torch.bfloat16), sound(2, 6, dtype=torch.bfloat16)
    y, state = block(x)
    assert y.dtype == torch.bfloat16 and all(leaf.dtype == torch.float32 for leaf in state)
    exact, _ = block_of(kind, torch.float32)(x.float())
    assert (y - exact).abs().max() < 0.05 * exact.abs().max()


@given(length=st.integers(1, 25), carried=st.booleans(), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_mamba3_equals_the_textbook(textbook: ModuleType, length: int, carried: bool, seed: int) -> None:
    """The complex recurrence of the paper, step by step."""
    torch.manual_seed(seed)
    block = Mamba3(Mamba3Config(WIDTH, d_state=8, headdim=4, ngroups=2, turned=0.5)).double().requires_grad_(False)
    for parameter in block.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    before, x = sound(2, 5, seed=seed + 100), sound(2, length, seed)
    state = block(before)[1] if carried else None
    y, _ = block(x, state)
    expected = textbook.slow_mamba3(block, torch.cat([before, x], dim=1) if carried else x)
    torch.testing.assert_close(y, expected[:, -length:], rtol=1e-9, atol=1e-10)


def test_the_convolution_equals_the_textbook(textbook: ModuleType) -> None:
    chance = torch.Generator().manual_seed(0)
    for batch, length, channels, width in ((1, 1, 5, 4), (2, 7, 3, 4), (1, 20, 16, 2), (2, 3, 4, 6)):
        x, tail = (torch.randn(batch, n, channels, generator=chance) for n in (length, width - 1))
        weight, bias = torch.randn(channels, 1, width, generator=chance), torch.randn(channels, generator=chance)
        expected = textbook.slow_causal_convolution(x, weight, bias, tail)
        y, new = causal_convolution(x, weight, bias, tail)
        torch.testing.assert_close(y, expected)
        torch.testing.assert_close(new, torch.cat([tail, x], dim=1)[:, length:])
        twice = [t.double().requires_grad_() for t in (x, weight, bias, tail)]
        assert torch.autograd.gradcheck(causal_convolution, twice)


def test_gradients_of_the_convolution_in_single_precision() -> None:
    chance = torch.Generator().manual_seed(1)
    x, weight, bias, tail = (torch.randn(*s, generator=chance) for s in ((2, 9, 16), (16, 1, 4), (16,), (2, 3, 16)))
    single = [t.requires_grad_() for t in (x, weight, bias, tail)]
    double = [t.detach().double().requires_grad_() for t in single]
    for a, b in zip(
        torch.autograd.grad(causal_convolution(*single)[0].sin().sum(), single),
        torch.autograd.grad(causal_convolution(*double)[0].sin().sum(), double),
        strict=True,
    ):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5)


@given(length=st.integers(1, 25), carried=st.booleans(), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_the_selective_scan_equals_the_textbook(textbook: ModuleType, length: int, carried: bool, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    u, dt = (torch.rand(2, length, 3, generator=chance, dtype=torch.float64) for _ in range(2))
    B, C = (torch.randn(2, length, 4, generator=chance, dtype=torch.float64) for _ in range(2))
    A, D = -10 * torch.rand(3, 4, generator=chance, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    state = torch.randn(2, 3, 4, generator=chance, dtype=torch.float64) if carried else None
    for actual, expected in zip(
        selective_scan(u, dt, A, B, C, D, state), textbook.slow_selective_scan(u, dt, A, B, C, D, state), strict=True
    ):
        torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-12)
