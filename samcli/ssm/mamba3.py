"""The Mamba-3 block of one input and one output a head ("Improved sequence modeling using state space principles").

    in_proj -> [z | x | B | C | dt | A | trap | angles];  B, C -> RMSNorm + bias -> rotated;  out_proj(y * silu(z))

Three things differ from Mamba-2. The trapezoidal rule weighs this input and the last one, so no convolution is needed:

    h_t = a_t h_{t-1} + a_t dt_t (1 - trap_t) x_{t-1} B_{t-1}^T + dt_t trap_t x_t B_t^T        a_t = exp(dt_t A_t)

The state is complex, written as angles that turn B and C on from step to step. And A depends on the input.

What the last input still adds is known one step later only. So every input but the last of a piece is scanned with all
it will add, less what its own step must not see yet; the state carries the latest input for the piece to come.
Parameter names and layout are those of state-spaces/mamba.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.mamba2 import HeadsConfig, initial_dt_bias
from samcli.ssm.norms import RMSNorm
from samcli.ssm.ssd import ssd
from samcli.ssm.state import BlockState, empty_state, last_valid, scan_dtype, valid_mask

LEAST_DECAY = 1e-4  # of -A, as published


@dataclass(frozen=True)
class Mamba3Config(HeadsConfig):
    turned: float = 0.5  # share of the state that the angles turn: 0.5 or 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d_state % 2 or self.turned not in (0.5, 1.0) or not self.angles:
            raise ValueError(f"a state of {self.d_state} has no pairs to turn {self.turned} of: it must be even")

    @property
    def angles(self) -> int:
        return int(self.d_state * self.turned) // 2

    @property
    def parts(self) -> list[int]:
        """Of what in_proj gives: z, x, B, C, dt, A, trap, angles."""
        shared = self.ngroups * self.d_state
        return [self.d_inner, self.d_inner, shared, shared, self.heads, self.heads, self.heads, self.angles]


class Latest(NamedTuple):
    """The latest input of each row, which the step to come adds to the state once more."""

    x: Tensor  # (batch, heads, head_dim)
    B: Tensor  # (batch, heads, N), turned
    angle: Tensor  # (batch, heads, angles)

    def packed(self) -> Tensor:
        """As the tail of a state: (batch, 1, channels)."""
        return torch.cat([part.flatten(1) for part in self], dim=1)[:, None]

    @classmethod
    def unpacked(cls, tail: Tensor, c: Mamba3Config) -> Latest:
        parts = torch.split(tail[:, 0], [c.heads * size for size in (c.headdim, c.d_state, c.angles)], dim=1)
        return cls(*(part.reshape(len(tail), c.heads, -1) for part in parts))


class Mamba3(nn.Module):
    def __init__(self, config: Mamba3Config) -> None:
        super().__init__()
        self.config = c = config
        self.in_proj = FastLinear(c.d_model, sum(c.parts), bias=False)
        self.dt_bias = nn.Parameter(initial_dt_bias(c.heads))
        self.B_bias = nn.Parameter(torch.ones(c.heads, 1, c.d_state))  # (heads, rank, N); the rank is one here
        self.C_bias = nn.Parameter(torch.ones(c.heads, 1, c.d_state))
        self.B_norm, self.C_norm = RMSNorm(c.d_state), RMSNorm(c.d_state)
        self.D = nn.Parameter(torch.ones(c.heads))
        self.out_proj = FastLinear(c.d_inner, c.d_model, bias=False)

    def initial_state(self, batch: int) -> BlockState:
        c = self.config
        return empty_state(
            self.D, (batch, c.heads, c.headdim, c.d_state), (batch, 1, c.heads * (c.headdim + c.d_state + c.angles))
        )

    def forward(
        self, x: Tensor, state: BlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, BlockState]:
        """x (batch, length, d_model), valid tokens first -> y of that shape, and the state after each row."""
        projected = self.in_proj(x)
        dtype = scan_dtype(projected.dtype)
        with torch.autocast(x.device.type, enabled=False):
            z, *rest = torch.split(projected.to(dtype), self.config.parts, dim=-1)
            y, state = self._scanned(rest, state or self.initial_state(len(x)), lengths)
            y = y.flatten(2) * F.silu(z)
        out: Tensor = self.out_proj(y.to(projected.dtype))
        return out, state

    def _scanned(self, parts: list[Tensor], state: BlockState, lengths: Tensor | None) -> tuple[Tensor, BlockState]:
        """(batch, length, heads, head_dim) before the gate, and the new state."""
        c, dtype = self.config, parts[0].dtype
        x, B, C, dt, A, trap, angles = parts
        before = Latest.unpacked(state.tail.to(dtype), c)
        x = x.reshape(*x.shape[:2], c.heads, c.headdim)
        dt = F.softplus(dt + self.dt_bias.to(dtype))  # (batch, length, heads)
        if lengths is not None:  # a step of no length leaves a state as it was
            dt = dt * valid_mask(lengths.to(dt.device), dt.shape[1])[..., None]
        turns = torch.tanh(angles)[:, :, None] * math.pi * dt[..., None]  # (batch, length, heads, angles)
        angle = (turns.cumsum(1) + before.angle[:, None]).remainder(2 * math.pi)
        B = turned(self._by_head(B, self.B_norm, self.B_bias), angle)  # (batch, length, heads, N)
        C = turned(self._by_head(C, self.C_norm, self.C_bias), angle)
        now = dt * trap.sigmoid()  # what an input adds at its own step
        later = dt * (1 - trap.sigmoid())  # and what the one before it adds at this step
        ssm = torch.addcmul(state.ssm.to(dtype), before.x[..., None] * before.B[:, :, None], later[:, 0, :, None, None])
        later = F.pad(later[:, 1:], (0, 0, 0, 1))  # seen from the input that adds it; of the last, nothing yet
        rate = F.softplus(A).clamp(min=LEAST_DECAY)  # how fast a head forgets, which is -A
        y, ssm = ssd(x, -dt * rate, B, C, now + later, self.D.to(dtype), ssm, c.chunk_size)
        y = y - (later * (B * C).sum(-1))[..., None] * x
        latest = Latest(*(last_valid(part, lengths) for part in (x, B, angle)))
        if lengths is not None:
            empty = (lengths.to(x.device) == 0)[:, None, None]
            latest = Latest(*(torch.where(empty, old, new) for old, new in zip(before, latest, strict=True)))
        return y, BlockState(ssm, latest.packed())

    def _by_head(self, m: Tensor, norm: RMSNorm, bias: Tensor) -> Tensor:
        """B or C (batch, length, groups * N) normed, one for each head, and its bias added."""
        c = self.config
        normed: Tensor = norm(m.reshape(*m.shape[:2], c.ngroups, c.d_state)).to(m.dtype)
        return normed.repeat_interleave(c.heads // c.ngroups, dim=2) + bias[:, 0].to(m.dtype)


def turned(m: Tensor, angle: Tensor) -> Tensor:
    """The first pairs (2 i, 2 i + 1) of the last axis, each turned by its angle; what has no angle stays."""
    count = 2 * angle.shape[-1]
    even, odd = m[..., :count:2], m[..., 1:count:2]
    cos, sin = angle.cos(), angle.sin()
    pairs = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return torch.cat([pairs.flatten(-2), m[..., count:]], dim=-1)
