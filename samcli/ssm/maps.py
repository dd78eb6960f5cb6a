"""Convolutions over maps of time and frequency, each with its GELU as one pass where oneDNN has it.

The maps of an encoder's stem are large: every pass over them that is saved counts.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm import kernels


def channels_last(maps: Tensor) -> Tensor:
    """(batch, height, width) as maps of one channel, laid out so that convolutions keep channels side by side."""
    return maps.contiguous()[..., None].permute(0, 3, 1, 2)  # `Tensor.contiguous` would leave one channel's strides


def convolved(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, ...]) -> Tensor:
    """GELU of a padded 3x3 convolution."""
    if kernels.onednn_may(x, weight) and onednn_convolutions():
        return _onednn(x, weight, bias, stride)
    return F.gelu(F.conv2d(x, weight, bias, stride, padding=1))


@functools.cache
def onednn_convolutions() -> bool:
    """Whether oneDNN's convolution with a GELU at its end is there, and right."""
    x = channels_last(torch.linspace(-2, 2, 60).view(1, 10, 6))
    weight, bias = torch.linspace(-1, 1, 18).view(2, 1, 3, 3), torch.tensor([0.5, -0.5])
    try:
        plain = F.gelu(F.conv2d(x, weight, bias, 2, padding=1))
        return torch.allclose(_onednn(x, weight, bias, (2, 2)), plain, rtol=1e-5, atol=1e-5)
    except (AttributeError, RuntimeError, NotImplementedError):  # the operator is internal and may go
        return False


def _onednn(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, ...]) -> Tensor:
    operator = torch.ops.mkldnn._convolution_pointwise
    y: Tensor = operator(x, weight, bias, [1, 1], list(stride), [1, 1], 1, "gelu", [], "none")
    return y
