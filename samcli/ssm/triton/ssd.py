"""The scan of Mamba-2 over a stretch of tokens: what each chunk adds to the state, the state from chunk to chunk, and
what every token hears. Padding is written as scale 0 and log_decay 0, as in the plain scan.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from samcli.ssm.triton.launching import LEAST_SIDE, launch, packed, power_of_two, products

CHUNK = 64  # tokens
PASSED = 1024  # numbers of a state that one program carries from chunk to chunk


@triton.jit
def _decays(log_decay, row, head, heads, t, there, length):
    """log2 of the decay of some steps; below a floor nothing is left, and sums would lose their digits."""
    found = tl.load(log_decay + (row * length + t) * heads + head, mask=there, other=0.0)
    return tl.maximum(found * 1.4426950408889634, -30.0)


@triton.jit
def _added(
    x, log_decay, scale, B, states, ends, length, chunks, heads, each, P, N, x_row, x_step, B_row, B_step,
    HAS_SCALE: tl.constexpr, CHUNK: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_N: tl.constexpr, DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    place, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    row, chunk = place // chunks, place % chunks
    tiles = tl.cdiv(N, BLOCK_N)
    p = tl.program_id(2) // tiles * BLOCK_P + tl.arange(0, BLOCK_P)
    n = tl.program_id(2) % tiles * BLOCK_N + tl.arange(0, BLOCK_N)
    t = chunk * CHUNK + tl.arange(0, CHUNK)
    there, in_p, in_n = t < length, p < P, n < N
    steps = _decays(log_decay, row, head, heads, t, there, length)
    end = tl.sum(steps, 0)
    share = tl.exp2(end - tl.cumsum(steps, 0))
    if HAS_SCALE:
        share *= tl.load(scale + (row * length + t) * heads + head, mask=there, other=0.0)
    at = row * x_row + t[:, None] * x_step + head * P + p[None, :]
    xs = tl.load(x + at, mask=there[:, None] & in_p[None, :], other=0.0).to(tl.float32) * share[:, None]
    at = row * B_row + t[:, None] * B_step + head // each * N + n[None, :]
    b = tl.load(B + at, mask=there[:, None] & in_n[None, :], other=0.0)
    found = tl.dot(tl.trans(xs).to(DOT), b.to(DOT), input_precision=PRECISION)
    at = ((place * heads + head) * P + p[:, None]) * N + n[None, :]
    tl.store(states + at, found, mask=in_p[:, None] & in_n[None, :])
    if tl.program_id(2) == 0:
        tl.store(ends + place * heads + head, tl.exp2(end))


@triton.jit
def _passed(states, ends, first, last, chunks, size, HAS_FIRST: tl.constexpr, BLOCK: tl.constexpr):
    """What each chunk added becomes what it begins with."""
    row, head, heads = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    lane = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < size
    carry = tl.zeros((BLOCK,), tl.float32)
    if HAS_FIRST:
        carry = tl.load(first + (row * heads + head) * size + lane, mask=inside, other=0.0)
    for chunk in range(chunks):
        place = (row * chunks + chunk) * heads + head
        added = tl.load(states + place * size + lane, mask=inside, other=0.0)
        tl.store(states + place * size + lane, carry, mask=inside)
        carry = carry * tl.load(ends + place) + added
    tl.store(last + (row * heads + head) * size + lane, carry, mask=inside)


@triton.jit
def _heard(
    x, log_decay, scale, B, C, D, states, y, length, chunks, heads, each, P, N, x_row, x_step, B_row, B_step, C_row,
    C_step, HAS_SCALE: tl.constexpr, HAS_D: tl.constexpr, CHUNK: tl.constexpr, BLOCK_P: tl.constexpr,
    BLOCK_N: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    place, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    row, chunk = place // chunks, place % chunks
    p, lane = tl.program_id(2) * BLOCK_P + tl.arange(0, BLOCK_P), tl.arange(0, CHUNK)
    t = chunk * CHUNK + lane
    there, in_p = t < length, p < P
    total = tl.cumsum(_decays(log_decay, row, head, heads, t, there, length), 0)
    CB = tl.zeros((CHUNK, CHUNK), tl.float32)
    carried = tl.zeros((CHUNK, BLOCK_P), tl.float32)
    for start in range(0, N, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        inside = there[:, None] & (n < N)[None, :]
        group = head // each * N + n[None, :]
        b = tl.load(B + row * B_row + t[:, None] * B_step + group, mask=inside, other=0.0).to(DOT)
        c = tl.load(C + row * C_row + t[:, None] * C_step + group, mask=inside, other=0.0).to(DOT)
        at = ((place * heads + head) * P + p[:, None]) * N + n[None, :]
        h = tl.load(states + at, mask=in_p[:, None] & (n < N)[None, :], other=0.0).to(DOT)
        CB += tl.dot(c, tl.trans(b), input_precision=PRECISION)
        carried += tl.dot(c, tl.trans(h), input_precision=PRECISION)
    reach = tl.exp2(tl.minimum(total[:, None] - total[None, :], 0.0))
    if HAS_SCALE:
        reach *= tl.load(scale + (row * length + t) * heads + head, mask=there, other=0.0)[None, :]
    mixing = tl.where(lane[:, None] >= lane[None, :], CB * reach, 0.0)
    at = row * x_row + t[:, None] * x_step + head * P + p[None, :]
    inside = there[:, None] & in_p[None, :]
    xs = tl.load(x + at, mask=inside, other=0.0)
    found = tl.dot(mixing.to(DOT), xs.to(DOT), input_precision=PRECISION) + carried * tl.exp2(total)[:, None]
    if HAS_D:
        found += xs.to(tl.float32) * tl.load(D + head).to(tl.float32)
    tl.store(y + ((row * length + t[:, None]) * heads + head) * P + p[None, :], found, mask=inside)


def ssd(
    x: Tensor,
    log_decay: Tensor,
    B: Tensor,
    C: Tensor,
    scale: Tensor | None,
    D: Tensor | None,
    state: Tensor | None,
    factors: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """As `samcli.ssm.ssd.ssd`; `factors` is what the factors of its matrix products are rounded to, sums never are."""
    (batch, length, heads, P), (groups, N) = x.shape, B.shape[2:]
    chunks, each = -(-length // CHUNK), heads // groups
    x, B, C = (packed(part, 2) for part in (x, B, C))
    log_decay = log_decay.float().contiguous()
    steps = log_decay if scale is None else scale.float().contiguous()

    def memory(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=torch.float32, device=x.device)

    states, ends = memory(batch, chunks, heads, P, N), memory(batch, chunks, heads)
    y, last = memory(*x.shape), memory(batch, heads, P, N)
    block_p, block_n = (power_of_two(side, 64, LEAST_SIDE) for side in (P, N))
    tiles_p, tiles_n = -(-P // block_p), -(-N // block_n)
    how = products(factors) | {"CHUNK": CHUNK, "BLOCK_P": block_p, "BLOCK_N": block_n, "HAS_SCALE": scale is not None}
    x_at, B_at, C_at = x.stride()[:2], B.stride()[:2], C.stride()[:2]
    launch(
        _added, (batch * chunks, heads, tiles_p * tiles_n), x, log_decay, steps, B, states, ends, length, chunks,
        heads, each, P, N, *x_at, *B_at, **how,
    )  # fmt: skip
    first = last if state is None else state.float().contiguous()
    block = power_of_two(P * N, PASSED)
    launch(
        _passed, (batch, heads, -(-P * N // block)), states, ends, first, last, chunks, P * N,
        HAS_FIRST=state is not None, BLOCK=block,
    )  # fmt: skip
    launch(
        _heard, (batch * chunks, heads, tiles_p), x, log_decay, steps, B, C, steps if D is None else D, states, y,
        length, chunks, heads, each, P, N, *x_at, *B_at, *C_at, HAS_D=D is not None, **how,
    )  # fmt: skip
    return y, last
