"""How kernels are launched, what their wrappers need for it, and what several of them compute."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

LEAST_SIDE = 16  # of a tile that tensor cores multiply


def interpreted() -> bool:
    """Whether kernels run on this processor, one operation at a time."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def launch(kernel: Any, grid: Iterable[int], first: Tensor, *arguments: Any, **meta: Any) -> None:
    """Start a kernel on the card that holds its first tensor, whichever is the current one."""
    if first.is_cuda:
        with torch.cuda.device(first.device):
            kernel[tuple(grid)](first, *arguments, **meta)
    else:
        kernel[tuple(grid)](first, *arguments, **meta)


def products(dtype: torch.dtype) -> dict[str, Any]:
    """What a kernel that multiplies matrices must know: the type it rounds factors to, and how float32 is done."""
    kind = {torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}.get(dtype, tl.float32)
    # the interpreter multiplies the bits of a bfloat16, not its value
    return {"DOT": tl.float32 if interpreted() else kind, "PRECISION": "tf32" if tf32() else "ieee"}


def tf32() -> bool:
    """Whether products of float32 may round their factors to 10 bits, as the libraries' are allowed to."""
    matmul: Any = torch.backends.cuda.matmul
    return bool(matmul.fp32_precision == "tf32" if hasattr(matmul, "fp32_precision") else matmul.allow_tf32)


def power_of_two(size: int, most: int = 1 << 30, least: int = 1) -> int:
    """The smallest power of two that holds `size`, within bounds."""
    return min(most, max(least, 1 << max(0, size - 1).bit_length()))


def packed(x: Tensor, axes: int) -> Tensor:
    """With its last axes side by side in memory; the axes before them may have any strides."""
    inner = 1
    for axis in range(1, axes + 1):
        if x.shape[-axis] != 1 and x.stride(-axis) != inner:
            return x.contiguous()
        inner *= x.shape[-axis]
    return x


@triton.jit
def silu(x):
    return x / (1 + tl.exp(-x))


@triton.jit
def softplus(x):
    e = tl.exp(tl.minimum(x, 20.0))
    small = e * (1 - e * (0.5 - e / 3))  # log(1 + e) would lose what lies below one part in ten million
    return tl.where(x > 20.0, x, tl.where(e < 1e-3, small, tl.log(1 + e)))


@triton.jit
def then(decay, update, later_decay, later_update):
    """Two stretches of a recurrence as one."""
    return decay * later_decay, later_decay * update + later_update
