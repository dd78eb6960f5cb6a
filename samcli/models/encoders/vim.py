"""The mixer of Vision Mamba (arXiv 2401.09417): Mamba over the patches of a picture, one way or both."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.convolution import causal_convolution
from samcli.ssm.mamba2 import initial_dt_bias
from samcli.ssm.scan import selective_scan

# forward; both ways with decays of their own alone, summed ("v1"); both ways with all but the outer projections of
# their own, averaged ("v2")
Ways = Literal["forward", "shared", "both"]


class VimMixer(nn.Module):
    """(batch, tokens, width) to that shape, in the published code's order of operations."""

    def __init__(self, width: int, d_state: int = 16, d_conv: int = 4, expand: int = 2, ways: Ways = "both") -> None:
        super().__init__()
        inner, rank = expand * width, -(-width // 16)
        self.ways, self.rank, self.d_state = ways, rank, d_state
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        for way in ("", "_b") if ways == "both" else ("",):
            setattr(self, f"conv1d{way}", nn.Conv1d(inner, inner, d_conv, groups=inner))
            setattr(self, f"x_proj{way}", nn.Linear(inner, rank + 2 * d_state, bias=False))
            dt_proj = nn.Linear(rank, inner)
            dt_proj.bias = nn.Parameter(initial_dt_bias(inner))
            setattr(self, f"dt_proj{way}", dt_proj)
            setattr(self, f"D{way}", nn.Parameter(torch.ones(inner)))
        for way in ("",) if ways == "forward" else ("", "_b"):
            spread = torch.arange(1, d_state + 1, dtype=torch.float32).repeat(inner, 1)
            setattr(self, f"A_log{way}", nn.Parameter(spread.log()))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def heard(self, x: Tensor, way: str = "") -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What a scan reads of (batch, tokens, inner): the convolved tokens, their step sizes, B and C."""
        conv, dt_proj = self.get_submodule(f"conv1d{way}"), self.get_submodule(f"dt_proj{way}")
        x = F.silu(causal_convolution(x, conv.weight, conv.bias)[0])  # type: ignore[arg-type]
        mixed = self.get_submodule(f"x_proj{way}")(x)
        dt, B, C = torch.split(mixed, [self.rank, self.d_state, self.d_state], dim=-1)
        return x, F.softplus(dt_proj(dt).float()), B, C

    def scanned(self, parts: tuple[Tensor, Tensor, Tensor, Tensor], decays: str, skip: str, z: Tensor) -> Tensor:
        """(batch, tokens, inner) gated, in the order it was given."""
        x, dt, B, C = parts
        A = -self.get_parameter(f"A_log{decays}").float().exp()
        y, _ = selective_scan(x, dt, A, B, C, self.get_parameter(f"D{skip}"))
        return y.to(z.dtype) * F.silu(z)

    def forward(self, x: Tensor) -> Tensor:
        x, z = self.in_proj(x).chunk(2, dim=-1)
        parts = self.heard(x)
        y = self.scanned(parts, "", "", z)
        if self.ways == "shared":  # one convolution, which runs forward, is scanned both ways
            back, dt, B, C = (part.flip(1) for part in parts)
            y = y + self.scanned((back, dt, B, C), "_b", "", z.flip(1)).flip(1)
        elif self.ways == "both":
            y = (y + self.scanned(self.heard(x.flip(1), "_b"), "_b", "_b", z.flip(1)).flip(1)) / 2
        out: Tensor = self.out_proj(y)
        return out
