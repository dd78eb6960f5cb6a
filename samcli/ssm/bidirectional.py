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
from samcli.ssm.ssd import LOG2_E

FADED = -58.0  # log2 of a decay below which the past is as good as gone


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
        c = self.config
        valid = None
        if lengths is not None:
            valid = torch.arange(x.shape[1], device=x.device)[None, :] < lengths[:, None]  # (batch, length)
        z, u, dt = torch.split(self.in_proj(x), [c.d_inner, c.conv_channels, c.heads * c.scan], dim=-1)
        if valid is not None:
            u = u * valid[..., None]
        u = F.silu(self.conv(u.transpose(1, 2))).transpose(1, 2)  # (batch, length, conv channels)
        if c.scan:
            u = self._scan(u, dt, valid)
        y = self.norm.gated(u, z)
        out: Tensor = self.out_proj(y)
        return out

    def _scan(self, u: Tensor, dt: Tensor, valid: Tensor | None) -> Tensor:
        c = self.config
        batch, length, _ = u.shape
        half = c.heads // 2
        x, B, C = torch.split(u, [c.d_inner, 2 * c.d_state, 2 * c.d_state], dim=-1)
        dt = F.softplus(dt.float() + self.dt_bias.float())  # (batch, length, heads)
        if valid is not None:
            dt = dt * valid[..., None]
        a = dt * (self.A_log.float().exp() * -LOG2_E)  # log2 of the decay, (batch, length, heads)
        total = a.cumsum(1)
        # forward: h_i = 2^a_i h_(i-1) + dt_i B_i x_i, so j reaches i with 2^(total_i - total_j), j <= i
        # backward is its mirror image: with before = total - a, j reaches i with 2^(before_j - before_i), j >= i
        place = torch.cat([total[..., :half], (a - total)[..., half:]], dim=-1).transpose(1, 2).contiguous()
        gap = place[..., :, None] - place[..., None, :]  # (batch, heads, to i, from j)
        # What has faded to 2^-58 stays there: a product with denormal numbers takes fifty times as long.
        decay = gap.clamp_(FADED, 0.0).exp2_()  # above 0 is what the mask drops
        B = B.view(batch, length, 2, c.d_state).permute(0, 2, 3, 1)  # (batch, direction, N, j)
        C = C.view(batch, length, 2, c.d_state).transpose(1, 2)  # (batch, direction, i, N)
        lower = torch.ones(length, length, dtype=u.dtype, device=u.device).tril()
        scores = (C @ B) * torch.stack([lower, lower.T])  # (batch, direction, i, j)
        weights, scores = decay.to(scores.dtype).view(batch, 2, half, length, length), scores[:, :, None]
        weights = weights * scores if torch.is_grad_enabled() else weights.mul_(scores)
        x = x.view(batch, length, c.heads, c.head_dim).transpose(1, 2)  # (batch, heads, j, P)
        steps = dt.transpose(1, 2)[..., None].to(x.dtype)  # (batch, heads, j, 1)
        y = weights.flatten(1, 2) @ (steps * x) + self.D.to(x.dtype)[:, None, None] * x
        merged: Tensor = y.transpose(1, 2).reshape(batch, length, c.d_inner)
        return merged
