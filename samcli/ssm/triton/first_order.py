"""h[t] = decay[t] * h[t-1] + update[t] along the last axis, and Mamba's selective scan without its expanded states."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from samcli.ssm.triton.launching import launch, packed, power_of_two, then

ROWS, STEPS = 4, 128  # of a scan that one program holds at once
CHANNELS = 32  # of a selective scan that one program carries


@triton.jit
def _first_order(decay, update, first, h, last, rows, length, ROWS: tl.constexpr, STEPS: tl.constexpr):
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    there = row < rows
    step = tl.arange(0, STEPS)
    carry = tl.load(first + row, mask=there, other=0.0)
    for start in range(0, length, STEPS):
        at = row[:, None] * length + start + step[None, :]
        inside = there[:, None] & (start + step < length)[None, :]
        a = tl.load(decay + at, mask=inside, other=1.0)
        b = tl.load(update + at, mask=inside, other=0.0)
        a, b = tl.associative_scan((a, b), 1, then)
        along = a * carry[:, None] + b
        tl.store(h + at, along, mask=inside)
        carry = tl.sum(tl.where((step == STEPS - 1)[None, :], along, 0.0), 1)
    tl.store(last + row, carry, mask=there)


def first_order_scan(decay: Tensor, update: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """As `samcli.ssm.scan.first_order_scan`, for float32."""
    shape, length = update.shape, update.shape[-1]
    decay, update = (part.expand(shape).contiguous() for part in (decay, update))
    first = update.new_zeros(shape[:-1]) if state is None else state.contiguous()
    h, last = torch.empty_like(update), torch.empty_like(first)
    rows = first.numel()
    grid = (-(-rows // ROWS),)
    launch(_first_order, grid, decay, update, first, h, last, rows, length, ROWS=ROWS, STEPS=STEPS)
    return h, last


@triton.jit
def _selective(
    u, dt, A, B, C, D, first, y, last, length, channels, states, u_row, u_step, dt_row, dt_step, B_row, B_step, C_row,
    C_step, HAS_D: tl.constexpr, HAS_FIRST: tl.constexpr, BLOCK: tl.constexpr, STATES: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    channel, n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, STATES)
    there, known = channel < channels, n < states
    inside = there[:, None] & known[None, :]
    rate = tl.load(A + channel[:, None] * states + n[None, :], mask=inside, other=0.0)
    at = (row * channels + channel[:, None]) * states + n[None, :]
    h = tl.zeros((BLOCK, STATES), tl.float32)
    if HAS_FIRST:
        h = tl.load(first + at, mask=inside, other=0.0)
    through = tl.zeros((BLOCK,), tl.float32)
    if HAS_D:
        through = tl.load(D + channel, mask=there, other=0.0).to(tl.float32)
    for t in range(length):
        now = tl.load(u + row * u_row + t * u_step + channel, mask=there, other=0.0).to(tl.float32)
        size = tl.load(dt + row * dt_row + t * dt_step + channel, mask=there, other=0.0).to(tl.float32)
        b = tl.load(B + row * B_row + t * B_step + n, mask=known, other=0.0).to(tl.float32)
        c = tl.load(C + row * C_row + t * C_step + n, mask=known, other=0.0).to(tl.float32)
        h = h * tl.exp(size[:, None] * rate) + (size * now)[:, None] * b[None, :]
        tl.store(y + (row * length + t) * channels + channel, tl.sum(h * c[None, :], 1) + now * through, mask=there)
    tl.store(last + at, h, mask=inside)


def selective_scan(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As `samcli.ssm.scan.selective_scan`; one program walks all steps of some channels and keeps their states."""
    batch, length, channels = u.shape
    states = A.shape[1]
    u, dt, B, C = (packed(part, 1) for part in (u, dt, B, C))
    y = torch.empty(u.shape, dtype=torch.float32, device=u.device)
    last = torch.empty(batch, channels, states, dtype=torch.float32, device=u.device)
    first = last if state is None else state.float().contiguous()
    strides = (stride for part in (u, dt, B, C) for stride in part.stride()[:2])
    block = power_of_two(channels, CHANNELS)
    launch(
        _selective, (batch, -(-channels // block)), u, dt, A.float().contiguous(), B, C, u if D is None else D, first,
        y, last, length, channels, states, *strides, HAS_D=D is not None, HAS_FIRST=state is not None, BLOCK=block,
        STATES=power_of_two(states),
    )  # fmt: skip
    return y, last
