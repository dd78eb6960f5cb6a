"""The Mamba-2 block (arXiv 2405.21060, section 7; parameter names and layout of state-spaces/mamba).

    in_proj -> [z | x B C | dt];  x B C -> causal convolution -> SiLU -> SSD;  RMSNorm(y * silu(z)) -> out_proj

`in_proj` and `out_proj` are only ever called as modules, so adapters and per-modality experts can take their place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.convolution import causal_convolution
from samcli.ssm.fast.compiled import reading as compiled_reading
from samcli.ssm.fast.cuda import mamba_ssm_scan
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.norms import GatedRMSNorm
from samcli.ssm.ssd import ssd, ssd_step
from samcli.ssm.state import BlockState, empty_state, scan_dtype, valid_mask
from samcli.ssm.triton import choice


@dataclass(frozen=True)
class HeadsConfig:
    """Sizes that Mamba-2 and Mamba-3 have in common."""

    d_model: int  # width of the residual stream (D)
    d_state: int = 128  # state dimension (N)
    expand: int = 2  # inner width over d_model (E)
    headdim: int = 64  # channels that share one decay (P)
    ngroups: int = 1  # heads of one group share B and C, and Mamba-2's inner norm (G)
    chunk_size: int | None = None  # tokens per SSD chunk (Q); None chooses by length

    def __post_init__(self) -> None:
        if self.d_inner % self.headdim or self.heads % self.ngroups:
            raise ValueError(
                f"inner width {self.d_inner} must be heads of {self.headdim} channels, in {self.ngroups} equal groups"
            )

    @property
    def d_inner(self) -> int:
        return self.expand * self.d_model

    @property
    def heads(self) -> int:
        return self.d_inner // self.headdim


@dataclass(frozen=True)
class Mamba2Config(HeadsConfig):
    d_conv: int = 4  # width of the causal convolution
    norm_eps: float = 1e-5
    bias: bool = False  # of both projections
    conv_bias: bool = True

    @property
    def conv_channels(self) -> int:
        return self.d_inner + 2 * self.ngroups * self.d_state

    @property
    def projected(self) -> int:
        return self.d_inner + self.conv_channels + self.heads


class Mamba2(nn.Module):
    def __init__(self, config: Mamba2Config) -> None:
        super().__init__()
        self.config = config
        self.in_proj = FastLinear(config.d_model, config.projected, bias=config.bias)
        channels = config.conv_channels
        self.conv1d = nn.Conv1d(channels, channels, config.d_conv, groups=channels, bias=config.conv_bias)
        self.dt_bias = nn.Parameter(initial_dt_bias(config.heads))
        self.A_log = nn.Parameter(torch.empty(config.heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(config.heads))
        self.norm = GatedRMSNorm(config.d_inner, config.norm_eps, config.ngroups)
        self.out_proj = FastLinear(config.d_inner, config.d_model, bias=config.bias)

    def initial_state(self, batch: int) -> BlockState:
        c = self.config
        return empty_state(self.A_log, (batch, c.heads, c.headdim, c.d_state), (batch, c.d_conv - 1, c.conv_channels))

    def forward(
        self, x: Tensor, state: BlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, BlockState]:
        """x (batch, length, d_model), valid tokens first -> y of that shape, and the state after each row."""
        projected = self.in_proj(x)
        quick = x.shape[1] > 1 and compiled_reading.applies(self, projected)
        y, new = (compiled_reading.read if quick else Mamba2.between)(self, projected, state, lengths)
        return self.out_proj(y), new

    def between(self, projected: Tensor, state: BlockState | None, lengths: Tensor | None) -> tuple[Tensor, BlockState]:
        """What stands between the two projections."""
        if choice.applies(projected, self.norm.weight):
            if projected.shape[1] == 1 and state is not None and lengths is None:
                return self.stepped(projected, state, owned=False)
            return self.between_on_card(projected, state, lengths)
        c = self.config
        batch, length, _ = projected.shape
        z, xBC, dt = torch.split(projected, [c.d_inner, c.conv_channels, c.heads], dim=-1)
        xBC, tail = causal_convolution(xBC, self.conv1d.weight, self.conv1d.bias, state and state.tail, lengths)
        dtype = scan_dtype(xBC.dtype)
        with torch.autocast(xBC.device.type, enabled=False):
            inner, B, C = self._heads(F.silu(xBC).to(dtype))
            dt = self._step_sizes(dt.to(dtype), lengths)
            A, D = -self.A_log.to(dtype).exp(), self.D.to(dtype)
            weights = self.norm.weight.dtype
            # its products are TF32 at best, so it serves half-precision weights only
            scan = mamba_ssm_scan() if xBC.is_cuda and weights in (torch.bfloat16, torch.float16) else None
            if length == 1 and state is not None:
                y, ssm = ssd_step(inner[:, 0], dt[:, 0] * A, B[:, 0], C[:, 0], dt[:, 0], D, state.ssm)
                y = y[:, None]
            elif scan is not None:
                y, ssm = scan(inner.to(weights), dt, A, B.to(weights), C.to(weights), D, state and state.ssm)
                y = y.to(dtype)
            else:
                y, ssm = ssd(inner, dt * A, B, C, dt, D, state and state.ssm, c.chunk_size)
            y = self.norm.gated(y.reshape(batch, length, c.d_inner), z)
        return y, BlockState(ssm, tail)

    def _heads(self, xBC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (batch, length, heads, head_dim), B and C (batch, length, groups, N) of what was convolved."""
        c, (batch, length, _) = self.config, xBC.shape
        inner, B, C = torch.split(xBC, [c.d_inner, c.ngroups * c.d_state, c.ngroups * c.d_state], dim=-1)
        B, C = (m.reshape(batch, length, c.ngroups, c.d_state) for m in (B, C))
        return inner.reshape(batch, length, c.heads, c.headdim), B, C

    def _step_sizes(self, dt: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, length, heads); 0, which leaves a state as it was, behind a row's end."""
        dt = F.softplus(dt + self.dt_bias.to(dt.dtype))
        return dt if lengths is None else dt * valid_mask(lengths.to(dt.device), dt.shape[1])[..., None]

    def between_on_card(
        self, projected: Tensor, state: BlockState | None, lengths: Tensor | None
    ) -> tuple[Tensor, BlockState]:
        """The same by our own kernels: factors in the weights' precision, sums and states in float32."""
        from samcli.ssm.triton import ssd as own

        c = self.config
        z, xBC, dt = torch.split(projected, [c.d_inner, c.conv_channels, c.heads], dim=-1)
        xBC, tail = causal_convolution(xBC, self.conv1d.weight, self.conv1d.bias, state and state.tail, lengths)
        inner, B, C = self._heads(F.silu(xBC))
        dt = self._step_sizes(dt.float(), lengths)
        log_decay = dt * -self.A_log.float().exp()
        factors = self.norm.weight.dtype
        y, ssm = own.ssd(inner, log_decay, B, C, dt, self.D.float(), state and state.ssm, factors)
        return self.norm.gated(y.view(z.shape), z), BlockState(ssm, tail)

    def stepped(self, projected: Tensor, state: BlockState, owned: bool) -> tuple[Tensor, BlockState]:
        """One token (batch, 1, ...) by our own kernel; the new state takes the old one's memory if owned."""
        from samcli.ssm.triton import norms as own_norms
        from samcli.ssm.triton import step as own

        conv, groups = self.conv1d, self.config.ngroups
        gated, ssm, tail = own.step(
            projected[:, 0], state.tail, state.ssm, conv.weight, conv.bias, self.dt_bias, self.A_log, self.D, groups,
            owned,
        )  # fmt: skip
        y = own_norms.gated_norm(gated, None, self.norm.weight, groups, self.norm.eps)
        return y[:, None], BlockState(ssm, tail)


def initial_dt_bias(heads: int) -> Tensor:
    """softplus(bias) spread evenly over the logarithm of the time steps, 0.001 to 0.1, as both papers start."""
    dt = torch.empty(heads).uniform_(math.log(1e-3), math.log(1e-1)).exp().clamp(min=1e-4)
    return dt + torch.log(-torch.expm1(-dt))  # inverse of softplus
