"""Mamba blocks with the scan taken out (MambaOut, arXiv 2405.07992): what is left is a gated causal convolution.

Put beside Mamba or Mamba-2 of the same size they show what the scan buys. `GatedConvolution` stands in a language
model and remembers no more than its convolution tail; `MambaOutMixer` hears the tokens of a window both ways.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.convolution import causal_convolution
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.state import BlockState, empty_state, valid_mask


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
        return empty_state(self.conv1d.weight, (batch, 0, c.d_inner), (batch, c.d_conv - 1, c.d_inner))

    def forward(
        self, x: Tensor, state: BlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, BlockState]:
        inner, z = self.in_proj(x).chunk(2, dim=-1)
        inner, tail = causal_convolution(inner, self.conv1d.weight, self.conv1d.bias, state and state.tail, lengths)
        y: Tensor = self.out_proj(F.silu(inner) * F.silu(z))
        return y, BlockState(tail[:, :0], tail)


class MambaOutMixer(nn.Module):
    """`y = mixer(x, lengths)`: (batch, length, width) to the same shape; norm and residual are the caller's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = int(8 / 3 * width)
        self.in_proj = nn.Linear(width, 2 * hidden)  # gate, values
        self.conv = nn.Conv1d(hidden, hidden, 7, padding=3, groups=hidden)
        self.out_proj = nn.Linear(hidden, width)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        gate, values = self.in_proj(x).chunk(2, dim=-1)
        if lengths is not None:  # what lies behind a row's end never reaches a valid step
            values = values * valid_mask(lengths, x.shape[1])[..., None]
        picture = values.contiguous().transpose(1, 2)[:, :, None]  # of height one: the layout that needs no copies
        weight, padding = self.conv.weight[:, :, None], (0, self.conv.kernel_size[0] // 2)
        moved = F.conv2d(picture, weight, self.conv.bias, padding=padding, groups=len(weight))
        y: Tensor = self.out_proj(F.gelu(gate) * moved[:, :, 0].transpose(1, 2))
        return y
