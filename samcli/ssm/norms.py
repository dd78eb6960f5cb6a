"""Root-mean-square norms, computed in float32 whatever the dtype of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.fast.compiled import norms as compiled_norms
from samcli.ssm.state import scan_dtype
from samcli.ssm.triton import choice


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / rms(x) over the last axis, times weight, in x's precision but never below float32."""
    dtype = scan_dtype(x.dtype)
    x = x.to(dtype)
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps) * weight.to(dtype)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normed x in the dtype of the weight, ready for the projection that follows."""
        if compiled_norms.applies(x, self.weight):
            return compiled_norms.rms_norm(x, self.weight, self.eps)
        if choice.applies(x, self.weight):
            from samcli.ssm.triton import norms as own

            return own.gated_norm(x, None, self.weight, 1, self.eps)
        return rms_norm(x, self.weight, self.eps).to(self.weight.dtype)


class GatedRMSNorm(RMSNorm):
    """Mamba-2's inner norm: the gate comes first, then a norm over each group of channels."""

    def __init__(self, width: int, eps: float = 1e-5, groups: int = 1) -> None:
        super().__init__(width, eps)
        self.groups = groups

    def gated(self, y: Tensor, z: Tensor) -> Tensor:
        """norm(y * silu(z)) in the dtype of the weight; y and z are (..., width)."""
        if choice.applies(y, z, self.weight):
            from samcli.ssm.triton import norms as own

            return own.gated_norm(y, z, self.weight, self.groups, self.eps)
        out: Tensor = _Gated.apply(y, z, self.weight, self.groups, self.eps)  # type: ignore[no-untyped-call]
        return out


def gated_rms_norm(y: Tensor, z: Tensor, weight: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor]:
    """norm(y * silu(z)) over groups of the last axis, in y's precision, and what each group was multiplied by."""
    u = F.silu(z.to(y.dtype)).mul_(y).view(*y.shape[:-1], groups, -1)  # (..., groups, width / groups)
    r = u.square().mean(dim=-1, keepdim=True).add_(eps).rsqrt_()
    return u.mul_(r).view(y.shape).mul_(weight), r


class _Gated(torch.autograd.Function):
    """The gate and the norm as one step that keeps y, z and one number per group, and works in place."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor, weight: Tensor, groups: int, eps: float) -> Tensor:
        out, r = gated_rms_norm(y, z, weight.to(y.dtype), groups, eps)
        ctx.save_for_backward(y, z, weight, r)
        return out.to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        y, z, weight, r = ctx.saved_tensors
        grouped = (*r.shape[:-1], -1)
        z32, g = z.to(y.dtype), grads[0].to(y.dtype)
        sigmoid = z32.sigmoid()
        gate = z32 * sigmoid
        n = (y * gate).view(grouped).mul_(r)  # the normed values
        dweight = (g * n.view(y.shape)).flatten(0, -2).sum(0).to(weight.dtype)
        dn = (g * weight.to(y.dtype)).view(grouped)
        # the norm takes out of a gradient what points along the normed values
        along = (dn * n).mean(dim=-1, keepdim=True)
        du = dn.addcmul_(n, along, value=-1).mul_(r).view(y.shape)
        dgate = (1 - sigmoid).mul_(gate).add_(sigmoid)
        return du * gate, dgate.mul_(du).mul_(y).to(z.dtype), dweight, None, None
