"""Convolutions over maps of time and frequency, each with its activation as one pass where oneDNN has it.

The first maps of an encoder are large: every pass over them that is saved counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm.fast import kernels

# By oneDNN's names.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "hardswish": F.hardswish,
    "swish": F.silu,
}
Pair = tuple[int, ...]


def channels_last(maps: Tensor) -> Tensor:
    """(batch, height, width) as maps of one channel, laid out so that convolutions keep channels side by side."""
    return maps.contiguous()[..., None].permute(0, 3, 1, 2)  # `Tensor.contiguous` would leave one channel's strides


def convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    stride: Pair = (1, 1),
    padding: Pair = (1, 1),
    groups: int = 1,
    activation: str = "none",
) -> Tensor:
    """The activation of a convolution."""
    if kernels.onednn_applies(x, weight) and onednn_convolutions():
        return onednn(x, weight, bias, stride, padding, groups, activation)
    return ACTIVATIONS[activation](F.conv2d(x, weight, bias, stride, padding, groups=groups))


@functools.cache
def onednn_convolutions() -> bool:
    """Whether oneDNN's convolutions with an activation at their end are there, and right."""
    x = channels_last(torch.linspace(-2, 2, 60).view(1, 10, 6))
    weight, bias = torch.linspace(-1, 1, 18).view(2, 1, 3, 3), torch.tensor([0.5, -0.5])

    def right(name: str) -> bool:
        plain = ACTIVATIONS[name](F.conv2d(x, weight, bias, 2, padding=1))
        return torch.allclose(onednn(x, weight, bias, (2, 2), (1, 1), 1, name), plain, rtol=1e-5, atol=1e-5)

    return kernels.operators_pass(lambda: all(map(right, ACTIVATIONS)))


def onednn(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, groups: int = 1, name: str = "none"
) -> Tensor:
    operator = torch.ops.mkldnn._convolution_pointwise
    y: Tensor = operator(x, weight, bias, list(padding), list(stride), [1, 1], groups, name, [], "none")
    return y
