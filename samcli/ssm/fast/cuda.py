"""Other people's kernels for CUDA, each used only after it gave PyTorch's result on a small problem on this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from samcli.ssm.fast import kernels
from samcli.ssm.ssd import ssd

ROUNDED = 2e-2  # what factors in bfloat16 may cost
Scan = Callable[..., tuple[Tensor, Tensor]]


def mamba_ssm_scan() -> Scan | None:
    """mamba_ssm's chunked scan with the arguments of `ssd`, or None."""
    return None if kernels.plain() or not torch.cuda.is_available() else _checked_scan()


def cuda_convolution() -> Callable[..., Any] | None:
    """causal_conv1d's convolution (batch, channels, length), or None."""
    return None if kernels.plain() or not torch.cuda.is_available() else _checked_convolution()


@functools.cache
def _checked_scan() -> Scan | None:
    try:
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    except Exception:
        return None

    def scan(
        x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y, end = mamba_chunk_scan_combined(x, dt, A, B, C, 256, D=D, initial_states=state, return_final_states=True)
        return y, end.to(torch.float32)

    return scan if _agrees_on_scan(scan) else None


def _agrees_on_scan(scan: Scan) -> bool:
    chance = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=chance).cuda()

    # as models have it: factors in bfloat16, states of 128
    x, B, C = (normal(*shape).bfloat16() for shape in ((2, 300, 4, 64), (2, 300, 1, 128), (2, 300, 1, 128)))
    dt, A = normal(2, 300, 4).abs(), -normal(4).abs()
    dt[1, 170:] = 0  # padding must pass through
    D, state = normal(4), normal(2, 4, 64, 128)
    try:
        with torch.no_grad():
            exact = ssd(x.float(), dt * A, B.float(), C.float(), dt, D, state)
            pairs = zip(scan(x, dt, A, B, C, D, state), exact, strict=True)
            return all(kernels.nearly_equal(fast, slow, ROUNDED) for fast, slow in pairs)
    except Exception:
        return False


@functools.cache
def _checked_convolution() -> Callable[..., Any] | None:
    try:
        from causal_conv1d import causal_conv1d_fn
    except Exception:
        return None
    chance = torch.Generator().manual_seed(0)
    seen, weight, bias = (torch.randn(*s, generator=chance).cuda() for s in ((2, 23, 64), (64, 4), (64,)))
    seen = seen.transpose(1, 2)  # channels side by side in memory, as models have them
    try:
        exact = torch.nn.functional.conv1d(seen, weight[:, None], bias, groups=64)
        agrees = kernels.nearly_equal(causal_conv1d_fn(seen, weight, bias)[..., 3:], exact)
    except Exception:
        return None
    return causal_conv1d_fn if agrees else None
