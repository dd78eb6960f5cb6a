"""A trunk's convolution with its norm folded in is the two it stands for, and channels lie side by side."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from samcli.models.encoders.mobilenet import ACTIVATIONS, ConvNorm, channels_last

# Kernel, stride, groups: every shape of the trunk's.
SHAPES = [(1, 1, 1), (3, 1, 8), (3, 2, 8), (5, 1, 8), (5, 2, 8), (3, 2, 1)]


def layer(kernel: int = 3, stride: int = 1, groups: int = 1, act: str = "hardswish", inputs: int = 8) -> ConvNorm:
    torch.manual_seed(0)
    made = ConvNorm(inputs, 8, kernel, stride, groups, act)
    made.norm.running_mean = torch.randn(8)
    made.norm.running_var = torch.rand(8) + 0.5
    torch.nn.init.uniform_(made.norm.weight, 0.5, 1.5)
    torch.nn.init.normal_(made.norm.bias)
    return made.eval()


def step_by_step(one: ConvNorm, x: torch.Tensor) -> torch.Tensor:
    norm, conv = one.norm, one.conv
    y = F.conv2d(x, conv.weight, None, conv.stride, conv.padding, groups=conv.groups)
    assert norm.running_mean is not None and norm.running_var is not None
    y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
    return {"none": lambda z: z, "relu": F.relu, "hardswish": F.hardswish}[one.activation](y)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kernel, stride, groups", SHAPES)
def test_one_pass_is_those_it_stands_for(kernel: int, stride: int, groups: int, activation: str) -> None:
    one = layer(kernel, stride, groups, activation)
    x = torch.randn(3, 8, 21, 16)
    with torch.inference_mode():
        for laid_out in (x, x.contiguous(memory_format=torch.channels_last)):
            assert torch.allclose(one(laid_out), step_by_step(one, laid_out), rtol=1e-5, atol=1e-5)


def test_a_fixed_norm_lets_gradients_through() -> None:
    """The norm's statistics stay as they are, its weights learn."""
    one = layer().train()
    x = torch.randn(1, 8, 9, 4, requires_grad=True)
    before = one.norm.running_mean.clone()  # type: ignore[union-attr]
    one(x).sum().backward()
    assert x.grad is not None and one.conv.weight.grad is not None and one.norm.weight.grad is not None
    assert torch.equal(one.norm.running_mean, before)  # type: ignore[arg-type]


def test_a_trunk_from_noise_learns_its_statistics() -> None:
    one = layer().train()
    one.learns_statistics = True
    x = torch.randn(4, 8, 9, 4) * 3 + 1
    before = one.norm.running_mean.clone()  # type: ignore[union-attr]
    assert torch.allclose(one(x), F.hardswish(one.norm(one.conv(x))))
    assert not torch.equal(one.norm.running_mean, before)  # type: ignore[arg-type]
    one.eval()
    with torch.no_grad():
        assert torch.allclose(one(x), step_by_step(one, x), rtol=1e-5, atol=1e-5), "heard with what was learned"


def test_channels_lie_side_by_side_from_the_first_map_on() -> None:
    with torch.inference_mode():
        sound = channels_last(torch.randn(2, 30, 16))
        assert sound.shape == (2, 1, 30, 16)
        assert layer(stride=2, inputs=1)(sound).is_contiguous(memory_format=torch.channels_last)
