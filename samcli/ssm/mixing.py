"""All steps of a stretch at once: how every step's output is mixed from the inputs that reach it.

For every head,  y_i = sum over j of CB[i, j] * 2 ** (place_i - place_j) * scale_j * x_j,  plus D x_i

`place` is the logarithm of the decay up to each step, so that a difference of two is the decay between them. CB is
zero where step j does not reach step i: what lies ahead of a scan that runs forward, or behind one that runs backward.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

CACHED = 1536 * 1024  # bytes of Q x Q matrices that are worked on at once on a CPU
SMALLEST = 2.0**-60  # stands for a scale of zero where its logarithm is taken
# log2 of the least decay: less would add nothing, and a product with denormal numbers takes fifty times as long.
FADED = -100.0
# log2 of the greatest decay times scale: beyond it lies only what CB drops, which must not become infinite before.
UNREACHED = 60.0


def mix(place: Tensor, scale: Tensor | None, CB: Tensor, D: Tensor | None, x: Tensor) -> Tensor:
    """(batch, Q, heads, head_dim) of x in that shape, place and scale (batch, Q, heads), CB (batch, groups, Q, Q)."""
    y: Tensor = _Mix.apply(place, scale, CB, D, x)  # type: ignore[no-untyped-call]
    return y


class _Mix(torch.autograd.Function):
    """The Q x Q matrices of every head would be the largest tensors of training.

    They are made again in the backward pass instead of kept; on a CPU for a few rows of the batch at a time, which
    keeps them in the cache.
    """

    @staticmethod
    def forward(ctx: Any, place: Tensor, scale: Tensor | None, CB: Tensor, D: Tensor | None, x: Tensor) -> Tensor:
        ctx.save_for_backward(place, scale, CB, D, x)
        y = torch.empty(x.shape, dtype=x.dtype, device=x.device)  # (batch, Q, heads, head_dim)
        for rows in _portions(x):
            M = _mixing(_decay(place, scale, rows), CB[rows], D).to(x.dtype)
            # one copy of x spares the product a copy per head
            y[rows] = (M @ x[rows].transpose(1, 2).contiguous()).transpose(1, 2)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        place, scale, CB, D, x = ctx.saved_tensors
        dplace, dCB, dx = torch.empty_like(place), torch.empty_like(CB), torch.empty_like(grads[0])
        dscale = None if scale is None else torch.empty_like(place)
        dD = None if D is None else torch.zeros_like(D)
        for rows in _portions(x):
            dy = grads[0][rows].transpose(1, 2).contiguous()  # (rows, heads, Q, head_dim)
            L = _decay(place, scale, rows)  # (rows, heads, Q, Q)
            dM = (dy @ x[rows].transpose(1, 2).contiguous().transpose(2, 3)).to(L.dtype)
            if dD is not None:
                dD += dM.diagonal(dim1=2, dim2=3).sum((0, 2))
            dL = _by_group(dM.mul_(L), CB)
            dCB[rows] = dL.sum(dim=2)
            # the derivative of an exponential is itself: with a plus for its row i and a minus for its column j
            dlog = dL.mul_(CB[rows, :, None]).view_as(L)
            column = dlog.sum(dim=2).transpose(1, 2)  # (rows, Q, heads)
            dplace[rows] = (dlog.sum(dim=3).transpose(1, 2) - column) * math.log(2)
            if dscale is not None:
                dscale[rows] = column / scale[rows].clamp(min=SMALLEST)
            M = _mixing(L, CB[rows], D).to(dy.dtype)
            dx[rows] = (M.transpose(2, 3) @ dy).transpose(1, 2)
        return dplace, dscale, dCB, dD, dx


def _portions(x: Tensor) -> Iterator[slice]:
    """Rows of the batch to work on together."""
    batch, size, heads, _ = x.shape
    step = batch
    if x.device.type == "cpu":
        step = max(1, CACHED // (heads * size * size * x.element_size()))
    return (slice(row, row + step) for row in range(0, batch, step))


def _decay(place: Tensor, scale: Tensor | None, rows: slice) -> Tensor:
    """(rows, heads, Q, Q) decay from step j to step i, times scale_j; some number where CB is zero."""
    # In order first: a difference of strided rows is a strided matrix, and every pass over it takes twice as long.
    to = place[rows].transpose(1, 2).contiguous()  # (rows, heads, Q)
    # the scale joins as its logarithm, which saves a pass over the matrices
    source = to if scale is None else to - scale[rows].transpose(1, 2).clamp(min=SMALLEST).log2()
    return (to[..., :, None] - source.contiguous()[..., None, :]).clamp_(FADED, UNREACHED).exp2_()


def _mixing(L: Tensor, CB: Tensor, D: Tensor | None) -> Tensor:
    """CB * L + D, in the memory of L."""
    M = _by_group(L, CB).mul_(CB[:, :, None]).view_as(L)
    if D is not None:
        M.diagonal(dim1=2, dim2=3).add_(D[:, None])
    return M


def _by_group(heads: Tensor, groups: Tensor) -> Tensor:
    """(rows, heads, Q, Q) -> (rows, groups, heads / groups, Q, Q)"""
    rows, count, size, _ = heads.shape
    return heads.view(rows, groups.shape[1], count // groups.shape[1], size, size)
