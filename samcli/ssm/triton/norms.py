"""Root-mean-square norms in one launch: with a gate before them, or with the sum that a block adds to the stream."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from samcli.ssm.triton.launching import launch, packed, power_of_two, silu


@triton.jit
def _gated_norm(y, z, weight, out, y_row, z_row, width, eps, GATED: tl.constexpr, BLOCK: tl.constexpr):
    row, group, groups = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.num_programs(1)
    lane = tl.arange(0, BLOCK)
    inside, column = lane < width, group * width + lane
    u = tl.load(y + row * y_row + column, mask=inside, other=0.0).to(tl.float32)
    if GATED:
        u *= silu(tl.load(z + row * z_row + column, mask=inside, other=0.0).to(tl.float32))
    u *= 1 / tl.sqrt(tl.sum(u * u, 0) / width + eps)
    u *= tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width * groups + column, u.to(out.dtype.element_ty), mask=inside)


def gated_norm(y: Tensor, z: Tensor | None, weight: Tensor, groups: int, eps: float) -> Tensor:
    """norm(y * silu(z)) over groups of the last axis, in the weight's dtype; z None: y is gated already."""
    width = y.shape[-1]
    out = torch.empty(y.shape, dtype=weight.dtype, device=y.device)
    rows = y.reshape(-1, width)
    gate = rows if z is None else packed(z.reshape(-1, width), 1)
    rows = packed(rows, 1)
    size = width // groups
    launch(
        _gated_norm, (len(rows), groups), rows, gate, weight, out, rows.stride(0), gate.stride(0), size, eps,
        GATED=z is not None, BLOCK=power_of_two(size),
    )  # fmt: skip
    return out


@triton.jit
def _added_norm(stream, added, weight, out, added_row, width, eps, ADDED: tl.constexpr, BLOCK: tl.constexpr):
    row, lane = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    inside = lane < width
    x = tl.load(stream + row * width + lane, mask=inside, other=0.0)
    if ADDED:
        x += tl.load(added + row * added_row + lane, mask=inside, other=0.0).to(tl.float32)
        tl.store(stream + row * width + lane, x, mask=inside)
    x *= 1 / tl.sqrt(tl.sum(x * x, 0) / width + eps)
    x *= tl.load(weight + lane, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + lane, x.to(out.dtype.element_ty), mask=inside)


def added_norm(stream: Tensor, added: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    """Adds to the residual stream (rows, width), a float32 of the caller's own, and returns the norm of the sum."""
    rows, width = stream.shape
    out = torch.empty(rows, width, dtype=weight.dtype, device=stream.device)
    more = stream if added is None else packed(added, 1)
    launch(
        _added_norm, (rows,), stream, more, weight, out, more.stride(0), width, eps, ADDED=added is not None,
        BLOCK=power_of_two(width),
    )  # fmt: skip
    return out
