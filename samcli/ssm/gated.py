"""A Mamba block with the scan taken out: what is left is a gated causal convolution.

This is the control of MambaOut (arXiv 2405.07992) as a sequence block. Put beside Mamba or Mamba-2 of the same size
it shows what the scan buys; it remembers no more than its convolution tail.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.convolution import causal_convolution
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.state import BlockState, scan_dtype


@dataclass(frozen=True)
class GatedConvolutionConfig:
    d_model: int  # width of the residual stream (D)
    d_conv: int = 4  # width of the causal convolution
    expand: int = 2  # inner width over d_model (E)

    @property
    def d_inner(self) -> int:
        return self.expand * self.d_model


class GatedConvolution(nn.Module):
    def __init__(self, config: GatedConvolutionConfig) -> None:
        super().__init__()
        self.config = c = config
        self.in_proj = FastLinear(c.d_model, 2 * c.d_inner, bias=False)
        self.conv1d = nn.Conv1d(c.d_inner, c.d_inner, c.d_conv, groups=c.d_inner, bias=True)
        self.out_proj = FastLinear(c.d_inner, c.d_model, bias=False)

    def initial_state(self, batch: int) -> BlockState:
        c = self.config
        weight = self.conv1d.weight
        zeros = torch.zeros(batch, c.d_conv - 1, c.d_inner, dtype=scan_dtype(weight.dtype), device=weight.device)
        return BlockState(ssm=zeros[:, :0], tail=zeros)

    def forward(
        self, x: Tensor, state: BlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, BlockState]:
        inner, z = self.in_proj(x).chunk(2, dim=-1)
        inner, tail = causal_convolution(inner, self.conv1d.weight, self.conv1d.bias, state and state.tail, lengths)
        y: Tensor = self.out_proj(F.silu(inner) * F.silu(z))
        return y, BlockState(tail[:, :0], tail)
