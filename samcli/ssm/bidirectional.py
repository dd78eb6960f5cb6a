"""A Mamba-2 mixer that listens both ways inside one window.

Half of the heads scan forward, half backward; both share one input and one output projection, so the second direction
costs nothing but its own B and C. The sequence is one window (some hundred tokens), so the scan is written as one
chunk of the state-space dual form (Mamba-2 paper, section 6): a masked, decayed attention-like product without
softmax.

Guarantee: what lies behind `lengths` never reaches a valid position (its step size is zero and its channels are masked
before the convolution), so a row gives the same result whatever it is padded to.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.norms import GatedRMSNorm
from samcli.ssm.ssd import LOG2_E, mix
from samcli.ssm.state import scan_dtype
from samcli.ssm.triton import choice


@dataclass(frozen=True)
class BidirectionalConfig:
    d_model: int = 256  # width of the tokens
    d_state: int = 64  # state dimension (N)
    expand: int = 2  # d_inner / d_model (E)
    head_dim: int = 64  # channels of one head (P)
    d_conv: int = 5  # taps of the centred depthwise convolution
    scan: bool = True  # False: the gated-convolution control, which shows what the scan buys
    eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.d_inner % (2 * self.head_dim):
            raise ValueError(f"{self.d_inner} channels cannot be shared by two directions of heads of {self.head_dim}")
        if self.d_conv % 2 == 0:
            raise ValueError("a centred convolution needs an odd number of taps")

    @property
    def d_inner(self) -> int:
        return self.expand * self.d_model

    @property
    def heads(self) -> int:
        return self.d_inner // self.head_dim  # first half forward, second half backward

    @property
    def conv_channels(self) -> int:
        return self.d_inner + 4 * self.d_state * self.scan  # x, then B and C of each direction


class BidirectionalMamba2(nn.Module):
    """`y = mixer(x, lengths)`: (batch, length, d_model) to the same shape."""

    def __init__(self, config: BidirectionalConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.in_proj = nn.Linear(
            c.d_model, c.d_inner + c.conv_channels + c.heads * c.scan, bias=False
        )  # z, x, B, C, dt
        self.conv = nn.Conv1d(c.conv_channels, c.conv_channels, c.d_conv, padding=c.d_conv // 2, groups=c.conv_channels)
        if c.scan:
            # Step sizes start spread over 1e-3 .. 1e-1 and decays over 1 .. 16, as in the paper.
            dt = torch.exp(torch.rand(c.heads) * 4.6 - 6.9)
            self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))
            self.A_log = nn.Parameter(torch.log(torch.empty(c.heads).uniform_(1, 16)))
            self.D = nn.Parameter(torch.ones(c.heads))
        self.norm = GatedRMSNorm(c.d_inner, c.eps)
        self.out_proj = nn.Linear(c.d_inner, c.d_model, bias=False)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        out: Tensor = self.out_proj(self._between(self.in_proj(x), lengths))
        return out

    def _between(self, projected: Tensor, lengths: Tensor | None) -> Tensor:
        """From the first projection to what the last one takes."""
        c, valid = self.config, None
        if lengths is not None:
            valid = torch.arange(projected.shape[1], device=projected.device)[None, :] < lengths[:, None]
        z, u, dt = torch.split(projected, [c.d_inner, c.conv_channels, c.heads * c.scan], dim=-1)
        if valid is not None:
            u = u * valid[..., None]
        u = self._convolved(u)
        if not c.scan:
            return self.norm.gated(u, z)
        place, dt = self._places(dt, valid)
        if choice.applies(u, self.D):
            from samcli.ssm.triton import two_way

            y = two_way.two_way(u, place, dt, self.D, c.head_dim, c.d_state, factors=self.norm.weight.dtype)
            return self.norm.gated(y, z)
        _, B, C = torch.split(u, [c.d_inner, 2 * c.d_state, 2 * c.d_state], dim=-1)
        # (batch, direction, length, N)
        B, C = (m.view(*u.shape[:2], 2, c.d_state).transpose(1, 2) for m in (B, C))
        CB = C @ B.transpose(-1, -2)  # (batch, 2, length, length)
        CB = torch.stack([CB[:, 0].tril(), CB[:, 1].triu()], dim=1)
        x = u[..., : c.d_inner].view(*u.shape[:2], c.heads, c.head_dim)
        y = mix(place, dt, CB, self.D.to(dt.dtype), x)
        return self.norm.gated(y.view(z.shape), z)

    def _convolved(self, u: Tensor) -> Tensor:
        """The centred convolution and its activation, channels last: (batch, length, channels) to that shape."""
        picture = u.contiguous().transpose(1, 2)[:, :, None]  # of height one, which is the layout that needs no copies
        weight, padding = self.conv.weight[:, :, None], (0, self.config.d_conv // 2)
        y = F.silu(F.conv2d(picture, weight, self.conv.bias, padding=padding, groups=len(weight)))
        return y[:, :, 0].transpose(1, 2)

    def _places(self, dt: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """How steps reach each other: place and step sizes (batch, length, heads)."""
        dtype, half = scan_dtype(dt.dtype), self.config.heads // 2
        dt = F.softplus(dt.to(dtype) + self.dt_bias.to(dtype))  # (batch, length, heads)
        if valid is not None:
            dt = dt * valid[..., None]
        a = dt * (self.A_log.to(dtype).exp() * -LOG2_E)  # log2 of the decay, (batch, length, heads)
        total = a.cumsum(1)
        # forward: h_i = 2^a_i h_(i-1) + dt_i B_i x_i, so j reaches i with 2^(total_i - total_j), j <= i
        # backward is its mirror image: with before = total - a, j reaches i with 2^(before_j - before_i), j >= i
        return torch.cat([total[..., :half], (a - total)[..., half:]], dim=-1), dt
