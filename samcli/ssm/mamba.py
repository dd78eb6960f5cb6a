"""The Mamba block (S6, arXiv 2312.00752, section 3; parameter names and layout of state-spaces/mamba).

    in_proj -> [x | z];  x -> causal convolution -> SiLU -> x_proj -> [dt | B | C];  softplus(dt_proj(dt));
    selective scan;  y * silu(z) -> out_proj

Falcon-Mamba (arXiv 2410.05355) norms dt, B and C before they are used.

Projections are only ever called as modules, so adapters and per-modality experts can take their place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.convolution import causal_convolution
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.mamba2 import initial_dt_bias
from samcli.ssm.scan import selective_scan
from samcli.ssm.state import BlockState, empty_state, scan_dtype, valid_mask


@dataclass(frozen=True)
class MambaConfig:
    d_model: int  # width of the residual stream (D)
    d_state: int = 16  # state dimension (N)
    d_conv: int = 4  # width of the causal convolution
    expand: int = 2  # inner width over d_model (E)
    dt_rank: int | None = None  # width of the bottleneck before dt (R); None: d_model / 16, rounded up
    bias: bool = False  # of the first and the last projection
    conv_bias: bool = True
    inner_norm_eps: float | None = None  # what x_proj gives is normed, without weights (Falcon-Mamba); None: it is not

    @property
    def d_inner(self) -> int:
        return self.expand * self.d_model

    @property
    def rank(self) -> int:
        return self.dt_rank or math.ceil(self.d_model / 16)


class Mamba(nn.Module):
    def __init__(self, config: MambaConfig) -> None:
        super().__init__()
        self.config = c = config
        self.in_proj = FastLinear(c.d_model, 2 * c.d_inner, bias=c.bias)
        self.conv1d = nn.Conv1d(c.d_inner, c.d_inner, c.d_conv, groups=c.d_inner, bias=c.conv_bias)
        self.x_proj = FastLinear(c.d_inner, c.rank + 2 * c.d_state, bias=False)
        self.dt_proj = FastLinear(c.rank, c.d_inner, bias=True)
        nn.init.uniform_(self.dt_proj.weight, -(c.rank**-0.5), c.rank**-0.5)
        with torch.no_grad():
            self.dt_proj.bias.copy_(initial_dt_bias(c.d_inner))
        # the real part of S4's diagonal start: 1, 2, ... N in every channel
        self.A_log = nn.Parameter(torch.arange(1.0, c.d_state + 1).log().repeat(c.d_inner, 1))
        self.D = nn.Parameter(torch.ones(c.d_inner))
        self.out_proj = FastLinear(c.d_inner, c.d_model, bias=c.bias)

    def initial_state(self, batch: int) -> BlockState:
        c = self.config
        return empty_state(self.A_log, (batch, c.d_inner, c.d_state), (batch, c.d_conv - 1, c.d_inner))

    def forward(
        self, x: Tensor, state: BlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, BlockState]:
        """x (batch, length, d_model), valid tokens first -> y of that shape, and the state after each row."""
        c = self.config
        inner, z = self.in_proj(x).chunk(2, dim=-1)
        inner, tail = causal_convolution(inner, self.conv1d.weight, self.conv1d.bias, state and state.tail, lengths)
        inner = F.silu(inner)
        low, B, C = torch.split(self.x_proj(inner), [c.rank, c.d_state, c.d_state], dim=-1)
        dtype = scan_dtype(inner.dtype)
        if c.inner_norm_eps is not None:
            low, B, C = (
                F.rms_norm(part.to(dtype), part.shape[-1:], eps=c.inner_norm_eps).to(part.dtype) for part in (low, B, C)
            )
        dt = F.softplus(self.dt_proj(low).to(dtype))  # (batch, length, d_inner)
        if lengths is not None:
            dt = dt * valid_mask(lengths.to(x.device), x.shape[1])[..., None]
        with torch.autocast(x.device.type, enabled=False):
            A = -self.A_log.to(dtype).exp()
            y, ssm = selective_scan(inner, dt, A, B, C, self.D, state and state.ssm)
            y = y * F.silu(z.to(dtype))
        return self.out_proj(y.to(z.dtype)), BlockState(ssm, tail)
