"""Convolutions with fewer multiplications, against the plain ones."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from samcli.models.encoders.nano import ConvNorm
from samcli.ssm.fast import kernels, winograd
from samcli.ssm.fast.winograd import LEAST_CHANNELS, LEAST_STEPS, WinogradConvolution, packed_convolutions

here = pytest.mark.skipif(not packed_convolutions(), reason="oneDNN's operators are not on this machine")


def test_values_at_points_give_back_a_convolution() -> None:
    """The plan alone, in exact numbers: eight inputs, three taps, six outputs."""
    plan = winograd.plan()
    chance = torch.Generator().manual_seed(0)
    inputs, taps = (torch.randn(size, 1, generator=chance, dtype=torch.float64) for size in (plan.points, 3))
    values = [winograd.total(inputs, plan.origin)]
    for even, odd, ratio in plan.pairs:
        halves = winograd.total(inputs, even), winograd.total(inputs, odd)
        values += [halves[0] + ratio * halves[1], halves[0] - ratio * halves[1]]
    values.append(winograd.total(inputs, plan.infinity))
    products = [value * (row @ taps) for value, row in zip(values, plan.taps, strict=True)]
    pairs = list(zip(products[1:-1:2], products[2:-1:2], strict=True))
    parts = [products[0], *(a + b for a, b in pairs), *(a - b for a, b in pairs), products[-1]]
    found = torch.cat([winograd.total(parts, terms) for terms in plan.outputs])
    plain = torch.stack([(inputs[at : at + 3] * taps).sum() for at in range(plan.steps)])
    assert torch.allclose(found, plain, rtol=1e-12, atol=1e-12)


@here
@pytest.mark.parametrize("time", [24, 29, 30, 125, 250])
@pytest.mark.parametrize("stride", [1, 2])
def test_equals_the_plain_convolution(time: int, stride: int) -> None:
    chance = torch.Generator().manual_seed(time)
    x = torch.randn(2, 48, time, 9, generator=chance).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(40, 48, 3, 3, generator=chance) / 20, torch.randn(40, generator=chance)
    with torch.inference_mode():
        quick = WinogradConvolution(weight, bias, stride)(x)
    exact = F.gelu(F.conv2d(x.double(), weight.double(), bias.double(), (1, stride), padding=1))
    assert quick.shape == exact.shape
    assert (quick - exact).abs().max() < 1e-4


def block() -> ConvNorm:
    torch.manual_seed(0)
    made = ConvNorm(LEAST_CHANNELS, LEAST_CHANNELS, (1, 1), residual=True)
    torch.nn.init.normal_(made.norm.bias)
    return made.eval()


def maps(time: int = LEAST_STEPS) -> torch.Tensor:
    return torch.randn(1, LEAST_CHANNELS, time, 8).contiguous(memory_format=torch.channels_last)


@here
def test_what_was_prepared_follows_the_weights() -> None:
    one, x = block(), maps()
    with torch.no_grad():
        before = one(x)
        assert one.quick is not None
        one.norm.bias += 1
        one.norm.running_mean += 0.5  # type: ignore[operator]
        after = one(x)
        assert not torch.allclose(before, after, atol=0.1)
        kernels.force("torch")
        try:
            assert torch.allclose(one(x), after, rtol=1e-4, atol=1e-4)
        finally:
            kernels.force("auto")


@here
def test_a_copy_prepares_its_own() -> None:
    one, x = block(), maps()
    with torch.no_grad():
        y = one(x)
        twin = copy.deepcopy(one)
        assert twin.quick is None
        assert torch.equal(twin(x), y)


def test_short_maps_and_gradients_go_the_plain_way() -> None:
    one = block()
    with torch.no_grad():
        one(maps(LEAST_STEPS - 1))
    one(maps().requires_grad_()).sum().backward()
    assert one.quick is None and one.conv.weight.grad is not None


def test_the_quick_way_is_checked_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    packed_convolutions.cache_clear()
    monkeypatch.setattr(WinogradConvolution, "_outputs", lambda self, products: products[0].flatten(1, 2))
    try:
        assert not packed_convolutions()
    finally:
        packed_convolutions.cache_clear()
