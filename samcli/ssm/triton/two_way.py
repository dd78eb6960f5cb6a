"""A window through a scan that listens both ways, in one launch: no matrix of all steps by all steps is ever written.

A program has some steps of one head and walks over the steps that reach them: those before in the heads that scan
forward, those behind in the others.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from samcli.ssm.triton.launching import LEAST_SIDE, launch, packed, power_of_two, products

STEPS = 32  # that one program has, and that it looks at together


@triton.jit
def _two_way(
    u, place, scale, D, y, length, P, N, u_row, u_step, tiles, STEPS: tl.constexpr, BLOCK_P: tl.constexpr,
    BLOCK_N: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    row, head, heads = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    lane, p = tl.arange(0, STEPS), tl.program_id(2) % tiles * BLOCK_P + tl.arange(0, BLOCK_P)
    begin = tl.program_id(2) // tiles * STEPS
    i, in_p = begin + lane, p < P
    back = head >= heads // 2
    inner = heads * P
    u += row * u_row
    b_at = inner + tl.where(back, N, 0)
    c_at = b_at + 2 * N
    here = tl.load(place + (row * length + i) * heads + head, mask=i < length, other=0.0)
    found = tl.zeros((STEPS, BLOCK_P), tl.float32)
    for start in range(tl.where(back, begin, 0), tl.where(back, length, begin + STEPS), STEPS):
        j = start + lane
        CB = tl.zeros((STEPS, STEPS), tl.float32)
        for k in range(0, N, BLOCK_N):
            n = k + tl.arange(0, BLOCK_N)
            c_in, b_in = (i < length)[:, None] & (n < N)[None, :], (j < length)[:, None] & (n < N)[None, :]
            c = tl.load(u + i[:, None] * u_step + c_at + n[None, :], mask=c_in, other=0.0).to(DOT)
            b = tl.load(u + j[:, None] * u_step + b_at + n[None, :], mask=b_in, other=0.0).to(DOT)
            CB += tl.dot(c, tl.trans(b), input_precision=PRECISION)
        there = tl.load(place + (row * length + j) * heads + head, mask=j < length, other=0.0)
        size = tl.load(scale + (row * length + j) * heads + head, mask=j < length, other=0.0)
        reach = tl.exp2(tl.minimum(here[:, None] - there[None, :], 0.0)) * size[None, :]
        reached = tl.where(back, j[None, :] >= i[:, None], j[None, :] <= i[:, None])
        inside = (j < length)[:, None] & in_p[None, :]
        x = tl.load(u + j[:, None] * u_step + head * P + p[None, :], mask=inside, other=0.0)
        found += tl.dot(tl.where(reached, CB * reach, 0.0).to(DOT), x.to(DOT), input_precision=PRECISION)
    inside = (i < length)[:, None] & in_p[None, :]
    x = tl.load(u + i[:, None] * u_step + head * P + p[None, :], mask=inside, other=0.0).to(tl.float32)
    found += x * tl.load(D + head).to(tl.float32)
    tl.store(y + (row * length + i[:, None]) * inner + head * P + p[None, :], found, mask=inside)


def two_way(u: Tensor, place: Tensor, scale: Tensor, D: Tensor, head_dim: int, N: int, factors: torch.dtype) -> Tensor:
    """u (batch, length, [x | B, B back | C, C back]), place and scale (batch, length, heads): (batch, length, inner).

    `place` is log2 of the decay up to each step, running forward in the first half of the heads, backward in the rest.
    """
    batch, length, heads = place.shape
    u, place, scale = packed(u, 1), place.float().contiguous(), scale.float().contiguous()
    y = torch.empty(batch, length, heads * head_dim, dtype=torch.float32, device=u.device)
    block_p, block_n = (power_of_two(side, 64, LEAST_SIDE) for side in (head_dim, N))
    tiles = -(-head_dim // block_p)
    launch(
        _two_way, (batch, heads, -(-length // STEPS) * tiles), u, place, scale, D, y, length, head_dim, N, u.stride(0),
        u.stride(1), tiles, STEPS=STEPS, BLOCK_P=block_p, BLOCK_N=block_n, **products(factors),
    )  # fmt: skip
    return y
