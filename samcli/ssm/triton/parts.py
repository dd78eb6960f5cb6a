"""What several kernels have in common."""

from __future__ import annotations

import triton
import triton.language as tl


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
