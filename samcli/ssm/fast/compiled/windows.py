"""A window through the two-way mixer by compiled loops: its scan as one chunk, its gate and norm in one pass."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from samcli.ssm.fast import kernels
from samcli.ssm.fast.loops import compiler
from samcli.ssm.fast.loops.compiler import array, floats
from samcli.ssm.ssd import LOG2_E

if TYPE_CHECKING:
    from samcli.ssm.bidirectional import BidirectionalMamba2


def serves(x: Tensor, weights: torch.dtype) -> bool:
    """Whether the loops may take it, are there, and right."""
    return weights in compiler.KINDS and x.dtype is weights and kernels.loops_may(x) and agrees(weights)


def read(mixer: BidirectionalMamba2, projected: Tensor, lengths: Tensor | None) -> Tensor:
    """projected (batch, length, ...) by in_proj to what out_proj takes, (batch, length, d_inner)."""
    from samcli.ssm.fast.loops import stretches, windows

    c, (batch, length, _) = mixer.config, projected.shape
    size, inner = compiler.threads(), c.d_inner
    counts = array(torch.full((batch,), length) if lengths is None else lengths.long().contiguous())
    rows = array(projected.contiguous())
    x = torch.empty(batch, c.heads, length, c.head_dim)  # the scan is float32 throughout
    BC = torch.empty(batch, windows.DIRECTIONS, 2, length, c.d_state)
    assert mixer.conv.bias is not None
    taps = floats(mixer.conv.weight[:, 0].t()), floats(mixer.conv.bias)
    windows.convolve(size, rows, counts, inner, *taps, array(x), array(BC))

    by_head = (batch, c.heads, 1, length)  # the window is one chunk
    place, scale = torch.empty(by_head), torch.empty(by_head)
    rate, steps = mixer.A_log.float().exp() * -LOG2_E, inner + c.conv_channels
    flat = (array(each.view(batch, c.heads, length)) for each in (place, scale))
    windows.places(size, rows, counts, steps, floats(mixer.dt_bias), array(rate), *flat)

    B, C = (each.flatten(0, 1) for each in BC.unbind(2))
    CB = torch.bmm(C, B.mT).view(batch, windows.DIRECTIONS, 1, length, length)
    M = torch.empty(*by_head, length)
    stretches.mixing(size, array(place), array(scale), array(CB), floats(mixer.D), 1, array(M))
    y = torch.bmm(M.view(-1, length, length), x.view(-1, length, c.head_dim)).view(x.shape)
    out = projected.new_empty(batch, length, inner)
    norm = floats(mixer.norm.weight), np.float32(mixer.norm.eps)
    stretches.gate(size, array(y), None, None, rows, *norm, array(out))
    return out


@functools.cache
def agrees(weights: torch.dtype) -> bool:
    """Rows of unlike lengths, against the plain path."""
    if not compiler.installed():
        return False
    from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        mixer = BidirectionalMamba2(BidirectionalConfig(32, d_state=8, head_dim=16)).to(weights)
        projected, lengths = mixer.in_proj(torch.randn(2, 41, 32).to(weights)), torch.tensor([41, 20])
        tolerance = 1e-5 if weights is torch.float32 else 0.05

        def right() -> bool:
            quick, exact = (way(mixer, projected, lengths) for way in (read, BidirectionalMamba2.between))
            valid = torch.arange(41)[None, :, None] < lengths[:, None, None]
            return kernels.close(quick * valid, exact * valid, tolerance)

        return kernels.never_raises(right)
