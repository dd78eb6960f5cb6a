"""The recurrences as a textbook writes them: one step at a time, in loops, sharing no code with the package."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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


def slow_mamba3(block: nn.Module, sound: Tensor) -> Tensor:
    """The trapezoidal recurrence of a complex state: the angles turn the state itself, and neither B nor C.

    h_t = a_t e^(-i w_t) (h_{t-1} + dt_t (1 - trap_t) x_{t-1} B_{t-1}) + dt_t trap_t x_t B_t and y_t = Re(h_t conj(C_t))
    """
    c = block.config
    N, G, H, P, S = c.d_state, c.ngroups, c.heads, c.headdim, c.angles
    rows = sound @ block.in_proj.weight.T
    z, x, B, C, dt, A, trap, angle = rows.split([c.d_inner, c.d_inner, G * N, G * N, H, H, H, S], dim=-1)

    def complex_pairs(m: Tensor, norm: nn.Module, bias: Tensor) -> Tensor:
        m = m / (m.square().mean() + norm.eps).sqrt() * norm.weight + bias
        return torch.complex(m[0::2], m[1::2])

    ys = torch.zeros_like(x)
    for b in range(len(sound)):
        for head in range(H):
            group, own = head // (H // G), slice(head * P, (head + 1) * P)
            h = torch.zeros(P, N // 2, dtype=torch.complex128)
            last = torch.zeros_like(h)
            for t in range(sound.shape[1]):
                step = torch.log(1 + torch.exp(dt[b, t, head] + block.dt_bias[head]))
                decay = torch.exp(-step * torch.log(1 + torch.exp(A[b, t, head])).clamp(min=1e-4))
                share = 1 / (1 + torch.exp(-trap[b, t, head]))
                turn = torch.zeros(N // 2, dtype=torch.float64)
                turn[:S] = step * torch.pi * torch.tanh(angle[b, t])
                pairs = [
                    complex_pairs(m[b, t, group * N : (group + 1) * N], norm, bias[head, 0])
                    for m, norm, bias in ((B, block.B_norm, block.B_bias), (C, block.C_norm, block.C_bias))
                ]
                given = torch.outer(x[b, t, own].to(h.dtype), pairs[0])
                back = torch.polar(decay.expand(N // 2), -turn)
                h = back * (h + step * (1 - share) * last) + step * share * given
                last = given
                ys[b, t, own] = (h @ pairs[1].conj()).real + block.D[head] * x[b, t, own]
    return ys * z / (1 + torch.exp(-z)) @ block.out_proj.weight.T


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
