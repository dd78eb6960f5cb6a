"""The chunked SSD scan against the textbook recurrence, under every cut, padding, grouping and precision."""

from __future__ import annotations

import itertools
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from samcli.ssm.ssd import ssd, ssd_step


def operands(
    batch: int = 2,
    length: int = 20,
    heads: int = 4,
    head_dim: int = 3,
    groups: int = 2,
    N: int = 5,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    speed: float = 1.0,
) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=chance, dtype=torch.float64).to(dtype)

    scale = torch.rand(batch, length, heads, generator=chance, dtype=torch.float64).to(dtype)
    A = -speed * torch.rand(heads, generator=chance, dtype=torch.float64).to(dtype) - 0.01
    return {
        "x": normal(batch, length, heads, head_dim),
        "log_decay": scale * A,
        "B": normal(batch, length, groups, N),
        "C": normal(batch, length, groups, N),
        "scale": scale,
        "D": normal(heads),
        "state": normal(batch, heads, head_dim, N),
    }


def steps(given: dict[str, Tensor], part: slice) -> dict[str, Tensor]:
    return {k: v[:, part] if k in ("x", "log_decay", "B", "C", "scale") else v for k, v in given.items()}


def close(actual: Tensor, expected: Tensor, relative: float) -> None:
    """Largest difference over largest value: what rounding is measured by."""
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= relative * expected.abs().max().clamp(min=1e-3)


SHAPES = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "length": st.integers(1, 40),
        "groups": st.sampled_from([1, 2]),
        "heads": st.sampled_from([2, 4]),
        "head_dim": st.integers(1, 5),
        "N": st.integers(1, 6),
        "seed": st.integers(0, 99),
        "speed": st.sampled_from([0.0, 1.0, 30.0, 1e4]),
    }
)


@given(shape=SHAPES, chunk=st.sampled_from([None, 1, 2, 5, 16, 64]))
@settings(max_examples=40, deadline=None)
def test_equals_the_textbook(textbook: ModuleType, shape: dict[str, int], chunk: int | None) -> None:
    case = operands(**shape)
    y, state = ssd(**case, chunk=chunk)
    expected_y, expected_state = textbook.slow_ssd(**case)
    close(y, expected_y, 1e-12)
    close(state, expected_state, 1e-12)


@given(shape=SHAPES, cuts=st.lists(st.integers(0, 40), max_size=4), chunk=st.sampled_from([None, 3, 16]))
@settings(max_examples=40, deadline=None)
def test_any_cut_equals_one_pass(shape: dict[str, int], cuts: list[int], chunk: int | None) -> None:
    case = operands(**shape)
    whole, end = ssd(**case)
    edges = sorted({0, shape["length"], *(cut for cut in cuts if cut < shape["length"])})
    pieces = []
    for start, stop in itertools.pairwise(edges):
        y, case["state"] = ssd(**steps(case, slice(start, stop)), chunk=chunk)
        pieces.append(y)
    close(torch.cat(pieces, dim=1), whole, 1e-12)
    close(case["state"], end, 1e-12)


@pytest.mark.parametrize("speed", [0.1, 3.0, 16.0, 200.0])
def test_float32_holds_its_tolerance_over_a_long_sequence(textbook: ModuleType, speed: float) -> None:
    case = operands(batch=1, length=1500, heads=3, head_dim=4, groups=1, N=4, speed=speed)
    single = {k: v.float() for k, v in case.items()}
    y, state = ssd(**single)
    expected_y, expected_state = textbook.slow_ssd(**case)
    close(y.double(), expected_y, 5e-5)
    close(state.double(), expected_state, 5e-5)


def test_step_by_step_equals_one_pass() -> None:
    case = operands(length=9)
    whole, end = ssd(**case)
    state = case["state"]
    for t in range(9):
        token = (case[k][:, t] for k in ("x", "log_decay", "B", "C", "scale"))
        y, state = ssd_step(*token, case["D"], state)
        close(y, whole[:, t], 1e-12)
    close(state, end, 1e-12)


@given(valid=st.integers(0, 12), padding=st.integers(1, 30), chunk=st.sampled_from([None, 4]))
@settings(max_examples=25, deadline=None)
def test_padding_leaves_the_state_alone_to_the_last_bit(valid: int, padding: int, chunk: int | None) -> None:
    case = operands(length=valid + padding, dtype=torch.float32)
    real = torch.arange(valid + padding) < valid
    case["scale"] = case["scale"] * real[:, None]
    case["log_decay"] = case["log_decay"] * real[:, None]
    _, state = ssd(**case, chunk=chunk)
    alone = ssd(**steps(case, slice(0, valid)), chunk=chunk)[1] if valid else case["state"]
    close(state, alone, 1e-6)
    # what stands in the padding cannot be told from the result
    case["x"] = torch.where(real[:, None, None], case["x"], torch.tensor(1e6))
    assert torch.equal(ssd(**case, chunk=chunk)[1], state)


@pytest.mark.parametrize("chunk", [None, 1, 3, 7])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_reach_every_operand(chunk: int | None, groups: int) -> None:
    case = operands(batch=2, length=7, heads=2, head_dim=2, groups=groups, N=3)
    names = list(case)
    inputs = [case[name].requires_grad_() for name in names]
    # the fixture derives log_decay from scale; here both are leaves
    inputs[names.index("log_decay")] = case["log_decay"].detach().requires_grad_()
    inputs[names.index("scale")] = case["scale"].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda *values: ssd(**dict(zip(names, values, strict=True)), chunk=chunk), inputs)


def test_a_scale_of_zero_has_its_gradient(textbook: ModuleType) -> None:
    case = {k: v.detach() for k, v in operands(length=5).items()}
    case["scale"][:, 2] = 0
    scale = case["scale"].requires_grad_()
    fast = torch.autograd.grad(ssd(**case)[0].sin().sum(), scale)[0]
    slow = torch.autograd.grad(textbook.slow_ssd(**case)[0].sin().sum(), scale)[0]
    close(fast, slow, 1e-10)


def test_without_scale_and_skip_it_is_the_plain_recurrence(textbook: ModuleType) -> None:
    case = operands(length=11) | {"scale": None, "D": None}
    y, state = ssd(**case, chunk=4)
    expected_y, expected_state = textbook.slow_ssd(**case)
    close(y, expected_y, 1e-12)
    close(state, expected_state, 1e-12)


def test_half_precision_is_scanned_in_single() -> None:
    case = {name: value.bfloat16() for name, value in operands(length=30).items()}
    y, state = ssd(**case, chunk=8)
    assert y.dtype == state.dtype == torch.float32
    exact, end = ssd(**{name: value.double() for name, value in case.items()})
    close(y.double(), exact, 1e-5)
    close(state.double(), end, 1e-5)
