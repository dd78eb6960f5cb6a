"""The transformer that teaches: a student's own frame with softmax attention in the place of its mixers.

Every block gives the matrix by which its attention mixes tokens. It only listens to whole windows: there is no cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.language.phi import PhiConfig, PhiLanguageModel


@dataclass(frozen=True)
class TeacherConfig:
    frame: PhiConfig  # everything but the attention; `heads` is the attention's
    kv_heads: int
    head_dim: int
    rotary: int  # leading channels of a head that turn with the position
    theta: float  # base of their frequencies
    bias: bool  # of queries, keys and values
    out_bias: bool

    def __post_init__(self) -> None:
        if self.frame.heads % self.kv_heads or self.rotary % 2 or not 0 < self.rotary <= self.head_dim:
            raise ValueError("heads must divide into kv_heads, and a head turns an even number of channels")


class Attention(nn.Module):
    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = c = config
        width, each = c.frame.d_model, c.head_dim
        self.q = FastLinear(width, c.frame.heads * each, c.bias)
        self.k = FastLinear(width, c.kv_heads * each, c.bias)
        self.v = FastLinear(width, c.kv_heads * each, c.bias)
        self.out_proj = FastLinear(c.frame.heads * each, width, c.out_bias)

    def forward(self, x: Tensor, state: None = None, lengths: None = None) -> tuple[Tensor, None]:
        """In the form of a recurrent mixer, whose state it has none of."""
        q, k = self._turned(x)
        y = F.scaled_dot_product_attention(q, k, self._heads(self.v(x)), is_causal=True)
        return self.out_proj(y.transpose(1, 2).flatten(2)), None

    def transfer_matrix(self, x: Tensor) -> Tensor:
        """(batch, heads, length, length) M with y = M x per head, before the output."""
        q, k = self._turned(x)
        scores = (q @ k.transpose(-1, -2)).float() * self.config.head_dim**-0.5
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        matrix: Tensor = scores.masked_fill(future, -torch.inf).softmax(-1)
        return matrix

    def _turned(self, x: Tensor) -> tuple[Tensor, Tensor]:
        c = self.config
        places = torch.arange(x.shape[1], device=x.device, dtype=torch.float32)
        inverse = c.theta ** (-torch.arange(0, c.rotary, 2, device=x.device, dtype=torch.float32) / c.rotary)
        angles = torch.outer(places, inverse).repeat(1, 2)  # (length, rotary)
        return turn(self._heads(self.q(x)), angles), turn(self._heads(self.k(x)), angles)

    def _heads(self, x: Tensor) -> Tensor:
        """(batch, heads, length, head_dim), each key and value once for every head that reads it."""
        split = x.reshape(*x.shape[:-1], -1, self.config.head_dim).transpose(1, 2)
        return split.repeat_interleave(self.config.frame.heads // split.shape[1], dim=1)


def turn(x: Tensor, angles: Tensor) -> Tensor:
    """Rotary positions: channel i of a head's turning half and channel i of the other are a point in the plane."""
    turning, still = x[..., : angles.shape[-1]], x[..., angles.shape[-1] :]
    one, other = turning.chunk(2, dim=-1)
    turned = turning * angles.cos().to(x.dtype) + torch.cat([-other, one], dim=-1) * angles.sin().to(x.dtype)
    return torch.cat([turned, still], dim=-1)


class Teacher(PhiLanguageModel):
    def __init__(self, config: TeacherConfig) -> None:
        super().__init__(config.frame)
        self.attention = config
        for layer in self.backbone.layers:
            layer.mixer = Attention(config)

    def streams(self, tokens: Tensor) -> list[Tensor]:
        """The residual stream before every block, and after the last."""
        found = [self.embed(tokens)]
        for layer in self.backbone.layers:
            found.append(layer(found[-1])[0])
        return found
