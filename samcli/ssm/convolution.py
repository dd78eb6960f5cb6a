"""The short causal convolution in front of a scan, with its tail as a value.

The tail holds the last `width - 1` inputs. Starting from zeros equals the zero padding of the papers; starting
from a carried tail continues a sequence exactly.

Mamba blocks with the scan taken out (MambaOut, arXiv 2405.07992) are gated convolutions. Put beside Mamba or Mamba-2
of the same size they show what the scan buys. `GatedConvolution` stands in a language model and remembers no more than
its convolution tail; `MambaOutMixer` hears the tokens of a window both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.fast.cuda import cuda_convolution
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.state import BlockState, empty_state, scan_dtype, valid_mask


def causal_convolution(
    x: Tensor,  # (batch, length, channels)
    weight: Tensor,  # (channels, 1, width)
    bias: Tensor | None,  # (channels,)
    tail: Tensor | None = None,  # (batch, width - 1, channels)
    lengths: Tensor | None = None,  # (batch,)
) -> tuple[Tensor, Tensor]:
    """Depthwise, without activation: (batch, length, channels), and the tail after each row's last valid input."""
    batch, length, channels = x.shape
    width = weight.shape[-1]
    before = x.new_zeros(batch, width - 1, channels) if tail is None else tail.to(x.dtype)
    seen = torch.cat([before, x], dim=1)  # (batch, width - 1 + length, channels)
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        seen, weight, bias = seen.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    y: Tensor = _Depthwise.apply(seen, weight, bias)  # type: ignore[no-untyped-call]
    return y, new_tail(seen, length, width - 1, lengths).to(scan_dtype(x.dtype))


class _Depthwise(torch.autograd.Function):
    """The convolution with a gradient made of the same fast pieces; the library's own costs several times as much."""

    @staticmethod
    def forward(ctx: Any, seen: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(seen, weight)
        return _valid_convolution(seen, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        seen, weight = ctx.saved_tensors
        dy = grads[0]
        length, width = dy.shape[1], weight.shape[-1]
        # every input meets the outputs that saw it: a convolution with the taps in reverse
        dseen = _valid_convolution(F.pad(dy, (0, 0, width - 1, width - 1)), weight.flip(-1), None)
        taps = [(seen[:, k : k + length] * dy).sum((0, 1), dtype=scan_dtype(dy.dtype)) for k in range(width)]
        dweight = torch.stack(taps, dim=-1)[:, None].to(weight.dtype)
        return dseen, dweight, dy.sum((0, 1)) if ctx.needs_input_grad[2] else None


def _valid_convolution(seen: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(batch, width - 1 + length, channels) -> (batch, length, channels)"""
    if seen.dtype == torch.float64:  # the library has no fast convolution for it
        length, width = seen.shape[1] - weight.shape[-1] + 1, weight.shape[-1]
        taps = [seen[:, k : k + length] * weight[:, 0, k] for k in range(width)]
        return sum(taps[1:], start=taps[0] if bias is None else taps[0] + bias)
    # its layout with the channels last needs rows of whole vectors
    fast = cuda_convolution() if seen.is_cuda and seen.shape[-1] % 8 == 0 else None
    if fast is not None:
        y: Tensor = fast(seen.transpose(1, 2), weight[:, 0].to(seen.dtype), bias)
        return y[..., weight.shape[-1] - 1 :].transpose(1, 2)
    # as a picture of height one with the channels last, which is the layout that needs no copies
    picture = seen.transpose(1, 2)[:, :, None]  # (batch, channels, 1, width - 1 + length)
    return F.conv2d(picture, weight[:, :, None], bias, groups=weight.shape[0])[:, :, 0].transpose(1, 2)


def new_tail(seen: Tensor, length: int, size: int, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return seen[:, length:].clone()  # a view would keep the whole piece alive
    # a row of n valid inputs ends at n + size in `seen`; n = 0 leaves the old tail as it was
    index = lengths.to(seen.device)[:, None] + torch.arange(size, device=seen.device)  # (batch, size)
    return seen[torch.arange(seen.shape[0], device=seen.device)[:, None], index]


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
