"""A window through the two-way mixer by compiled loops: its scan as one chunk, its gate and norm in one pass."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from samcli.loops import compiler
from samcli.loops.compiler import array
from samcli.ssm import kernels

if TYPE_CHECKING:
    from samcli.ssm.bidirectional import BidirectionalMamba2


def serves(x: Tensor, weights: torch.dtype) -> bool:
    """Whether the loops may take it, are there, and right."""
    return x.dtype is torch.float32 and weights is torch.float32 and kernels.loops_may(x) and agrees()


def scanned(
    mixer: BidirectionalMamba2, projected: Tensor, heard: Tensor, place: Tensor, dt: Tensor, CB: Tensor
) -> Tensor:
    """What out_proj takes, (batch, length, d_inner).

    projected (batch, length, ...) begins with the gate; heard (batch, length, channels) begins with x; place and dt
    (batch, length, heads); CB (batch, directions, length, length).
    """
    from samcli.loops import stretches

    c, (batch, length, _) = mixer.config, projected.shape
    size = compiler.threads()
    by_head = (batch, c.heads, 1, length)
    place, dt = (each.transpose(1, 2).contiguous().view(by_head) for each in (place, dt))
    M = heard.new_empty(*by_head, length)
    stretches.mixing(
        size, array(place), array(dt), array(CB[:, :, None].contiguous()), compiler.floats(mixer.D), 1, array(M)
    )
    x = heard[..., : c.d_inner].reshape(batch, length, c.heads, c.head_dim).transpose(1, 2).contiguous()
    y = torch.bmm(M.view(-1, length, length), x.view(-1, length, c.head_dim))
    out = heard.new_empty(batch, length, c.d_inner)
    norm = compiler.floats(mixer.norm.weight), np.float32(mixer.norm.eps)
    stretches.gate(size, array(y.view(x.shape)), None, None, array(projected.contiguous()), *norm, array(out))
    return out


@functools.cache
def agrees() -> bool:
    """Rows of unlike lengths, against the plain path."""
    if not compiler.installed():
        return False
    from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        mixer = BidirectionalMamba2(BidirectionalConfig(32, d_state=8, head_dim=16))
        x, lengths = torch.randn(2, 41, 32), torch.tensor([41, 20])

        def right() -> bool:
            quick, exact = (mixer.between(x, lengths, compiled) for compiled in (True, False))
            valid = torch.arange(41)[None, :, None] < lengths[:, None, None]
            return kernels.close(quick * valid, exact * valid, 1e-5)

        return kernels.never_raises(right)
