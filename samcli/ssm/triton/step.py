"""One token through a Mamba-2 block between its two projections, in one launch.

A program has some channels of one head of one row. It convolves its own channels and its group's B and C, which are
few and read by all heads of the group, then advances its share of the state where it lies: each number of the state
is read once and written once. The convolution's tail is written to memory of its own, since others still read it.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from samcli.ssm.triton.launching import launch, packed, power_of_two, silu, softplus

TILE = 8192  # numbers of a state that one program holds


@triton.jit
def _heard(now, tail, kept, taps, bias, channel, inside, keeps, channels, WIDTH: tl.constexpr, HAS_BIAS: tl.constexpr):
    """The convolution of some channels and its activation; the programs that keep write the new tail."""
    total = tl.zeros(channel.shape, tl.float32)
    if HAS_BIAS:
        total += tl.load(bias + channel, mask=inside, other=0.0).to(tl.float32)
    for k in tl.static_range(WIDTH - 1):
        past = tl.load(tail + k * channels + channel, mask=inside, other=0.0)
        total += past * tl.load(taps + channel * WIDTH + k, mask=inside, other=0.0).to(tl.float32)
        if k > 0:
            tl.store(kept + (k - 1) * channels + channel, past, mask=keeps)
    latest = tl.load(now + channel, mask=inside, other=0.0).to(tl.float32)
    if WIDTH > 1:
        tl.store(kept + (WIDTH - 2) * channels + channel, latest, mask=keeps)
    return silu(total + latest * tl.load(taps + channel * WIDTH + WIDTH - 1, mask=inside, other=0.0).to(tl.float32))


@triton.jit
def _step(
    projected, tail, kept, old, new, out, taps, bias, dt_bias, A_log, D, row_size, each, P, N, inner, channels,
    WIDTH: tl.constexpr, HAS_BIAS: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    row, head, heads = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    p, n = tl.program_id(2) * BLOCK_P + tl.arange(0, BLOCK_P), tl.arange(0, BLOCK_N)
    in_p, in_n = p < P, n < N
    z = projected + row * row_size
    now = z + inner
    tail += row * (WIDTH - 1) * channels
    kept += row * (WIDTH - 1) * channels
    group, groups = head // each, heads // each
    keeps = n < tl.where(head % each + tl.program_id(2) == 0, N, 0)  # one program for all that read the same
    x = _heard(now, tail, kept, taps, bias, head * P + p, in_p, in_p, channels, WIDTH, HAS_BIAS)
    at = inner + group * N + n
    B = _heard(now, tail, kept, taps, bias, at, in_n, keeps, channels, WIDTH, HAS_BIAS)
    at += groups * N
    C = _heard(now, tail, kept, taps, bias, at, in_n, keeps, channels, WIDTH, HAS_BIAS)
    dt = softplus(tl.load(now + channels + head).to(tl.float32) + tl.load(dt_bias + head).to(tl.float32))
    decay = tl.exp(-tl.exp(tl.load(A_log + head).to(tl.float32)) * dt)
    at = ((row * heads + head) * P + p[:, None]) * N + n[None, :]
    inside = in_p[:, None] & in_n[None, :]
    h = tl.load(old + at, mask=inside, other=0.0) * decay + (x * dt)[:, None] * B[None, :]
    tl.store(new + at, h, mask=inside)
    y = tl.sum(h * C[None, :], 1) + x * tl.load(D + head).to(tl.float32)
    y *= silu(tl.load(z + head * P + p, mask=in_p, other=0.0).to(tl.float32))
    tl.store(out + row * inner + head * P + p, y, mask=in_p)


def step(
    projected: Tensor,  # (batch, [z | x B C | dt])
    tail: Tensor,  # (batch, width - 1, channels)
    state: Tensor,  # (batch, heads, head_dim, N)
    taps: Tensor,  # (channels, 1, width)
    bias: Tensor | None,  # (channels,)
    dt_bias: Tensor,
    A_log: Tensor,
    D: Tensor,  # (heads,) all three
    groups: int,
    owned: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """What the inner norm takes, gated (batch, d_inner); the new state, in the old one's memory if owned; the tail."""
    batch, heads, P, N = state.shape
    projected, state, tail = packed(projected, 1), state.contiguous(), tail.contiguous()
    new = state if owned else torch.empty_like(state)
    kept, out = torch.empty_like(tail), torch.empty(batch, heads * P, dtype=torch.float32, device=state.device)
    block_n = power_of_two(N)
    block_p = power_of_two(P, max(1, TILE // block_n))
    launch(
        _step, (batch, heads, -(-P // block_p)), projected, tail, kept, state, new, out, taps.contiguous(),
        taps if bias is None else bias, dt_bias, A_log, D, projected.stride(0), heads // groups, P, N, heads * P,
        taps.shape[0], WIDTH=taps.shape[-1], HAS_BIAS=bias is not None, BLOCK_P=block_p, BLOCK_N=block_n,
    )  # fmt: skip
    return out, new, kept
