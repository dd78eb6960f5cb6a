"""A stem's convolution as one pass is the convolution, batch norm, residual and GELU it stands for."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from samcli.models.encoders.nano import ConvNorm
from samcli.ssm.fast import maps
from samcli.ssm.fast.maps import channels_last, convolved


def layer(residual: bool, inputs: int = 8) -> ConvNorm:
    torch.manual_seed(0)
    made = ConvNorm(inputs, 8, (1, 1) if residual else (2, 2), residual)
    made.norm.running_mean = torch.randn(8)
    made.norm.running_var = torch.rand(8) + 0.5
    torch.nn.init.uniform_(made.norm.weight, 0.5, 1.5)
    torch.nn.init.normal_(made.norm.bias)
    return made.eval()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_one_pass_is_the_four_it_stands_for(residual: bool, plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if plain:
        monkeypatch.setattr(maps.kernels, "plain", lambda: True)
    one = layer(residual)
    x = torch.randn(3, 8, 21, 16).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        norm, y = one.norm, one.conv(x)
        assert norm.running_mean is not None and norm.running_var is not None
        y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        assert torch.allclose(one(x), F.gelu(x + y if residual else y), rtol=1e-5, atol=1e-5)


def test_gradients_go_the_plain_way() -> None:
    one = layer(residual=True)
    x = torch.randn(1, 8, 9, 4, requires_grad=True)
    one(x).sum().backward()
    assert x.grad is not None and one.conv.weight.grad is not None


def test_channels_lie_side_by_side_from_the_first_map_on() -> None:
    with torch.inference_mode():
        sound = channels_last(torch.randn(2, 30, 16))
        assert sound.shape == (2, 1, 30, 16)
        assert layer(residual=False, inputs=1)(sound).is_contiguous(memory_format=torch.channels_last)


def test_half_precision_goes_the_plain_way() -> None:
    x, weight = torch.randn(1, 2, 6, 6).bfloat16(), torch.randn(2, 2, 3, 3).bfloat16()
    with torch.inference_mode():
        y = convolved(x, weight, torch.zeros(2).bfloat16())
    assert y.dtype is torch.bfloat16


def test_the_quick_way_is_checked_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    maps.onednn_convolutions.cache_clear()
    monkeypatch.setattr(maps, "onednn", lambda x, *rest: x)
    try:
        assert not maps.onednn_convolutions()
    finally:
        maps.onednn_convolutions.cache_clear()
