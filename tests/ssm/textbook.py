"""The recurrences as a textbook writes them: one step at a time, in loops, sharing no code with the package."""

from __future__ import annotations

import torch
from torch import Tensor


def slow_ssd(
    x: Tensor,
    log_decay: Tensor,
    B: Tensor,
    C: Tensor,
    scale: Tensor | None = None,
    D: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """h_t = exp(log_decay_t) h_{t-1} + scale_t x_t B_t^T and y_t = h_t C_t + D x_t, head by head."""
    batch, length, heads, head_dim = x.shape
    groups, N = B.shape[2:]
    ys = x.new_zeros(batch, length, heads, head_dim)
    ends = x.new_zeros(batch, heads, head_dim, N)
    for b in range(batch):
        for k in range(heads):
            g = k // (heads // groups)
            h = x.new_zeros(head_dim, N) if state is None else state[b, k]
            for t in range(length):
                factor = 1.0 if scale is None else scale[b, t, k]
                h = torch.exp(log_decay[b, t, k]) * h + factor * torch.outer(x[b, t, k], B[b, t, g])
                ys[b, t, k] = h @ C[b, t, g] + (0 if D is None else D[k] * x[b, t, k])
            ends[b, k] = h
    return ys, ends


def slow_selective_scan(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t and y_t = h_t C_t + D u_t, channel by channel."""
    batch, length, channels = u.shape
    ys = torch.zeros_like(u)
    ends = u.new_zeros(batch, channels, A.shape[1])
    for b in range(batch):
        for d in range(channels):
            h = u.new_zeros(A.shape[1]) if state is None else state[b, d]
            for t in range(length):
                h = torch.exp(dt[b, t, d] * A[d]) * h + dt[b, t, d] * u[b, t, d] * B[b, t]
                ys[b, t, d] = h @ C[b, t] + D[d] * u[b, t, d]
            ends[b, d] = h
    return ys, ends


def slow_causal_convolution(x: Tensor, weight: Tensor, bias: Tensor, tail: Tensor) -> Tensor:
    """y_t = bias + sum_k weight_k x_{t - width + 1 + k}, with the tail before the first x."""
    seen = torch.cat([tail, x], dim=1)
    width = weight.shape[-1]
    steps = []
    for t in range(x.shape[1]):
        y = bias.clone().expand(x.shape[0], -1)
        for k in range(width):
            y = y + weight[:, 0, k] * seen[:, t + k]
        steps.append(y)
    return torch.stack(steps, dim=1)
