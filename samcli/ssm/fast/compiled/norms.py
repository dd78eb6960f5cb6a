"""The root-mean-square norm by a compiled loop: one pass, into the dtype of the projection that follows."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from samcli.ssm.fast import kernels
from samcli.ssm.fast.compiled import compiler
from samcli.ssm.fast.compiled.compiler import array


def applies(x: Tensor, weight: Tensor) -> bool:
    """Whether the loop may take it, is there, and right."""
    return x.dtype is torch.float32 and weight.dtype in compiler.KINDS and kernels.loops_apply(x) and agrees()


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / rms(x) over the last axis, times weight, in the dtype of the weight."""
    from samcli.ssm.fast.compiled import stretches

    rows = x.contiguous().view(-1, x.shape[-1])
    out = rows.new_empty(rows.shape, dtype=weight.dtype)
    stretches.norms(compiler.threads(), array(rows), compiler.floats(weight), np.float32(eps), array(out))
    return out.view(x.shape)


@functools.cache
def agrees() -> bool:
    if not compiler.installed():
        return False
    x, weight = torch.linspace(-3, 4, 3 * 40).view(3, 40), torch.linspace(-1, 1, 40)

    def right(dtype: torch.dtype) -> bool:
        exact = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight.to(dtype)
        tolerance = 1e-5 if dtype is torch.float32 else 0.01
        return kernels.nearly_equal(rms_norm(x, weight.to(dtype), 1e-5), exact, tolerance)

    return kernels.package_passes(lambda: all(map(right, compiler.KINDS)))
