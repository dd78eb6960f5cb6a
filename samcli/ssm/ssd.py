"""State-space duality (Mamba-2, arXiv 2405.21060, sections 5-6): a scan written as matrix products.

For every head, with a scalar decay per step,

    h_t = exp(log_decay_t) * h_{t-1} + scale_t * x_t B_t^T          h: (head_dim, N)
    y_t = h_t C_t + D x_t

`ssd` walks the sequence in chunks and carries h from one chunk to the next; inside a chunk all steps happen at
once. Any chunk length and any split of the sequence give the same numbers up to rounding. Padding is written as
scale 0 and log_decay 0, which leaves h untouched. Never below float32. Gradients flow to every input, the initial
state included.

`mix` is what happens inside a chunk, and in a window that is heard both ways. For every head,

    y_i = sum over j of CB[i, j] * 2 ** (place_i - place_j) * scale_j * x_j,  plus D x_i

where `place` is the logarithm of the decay up to each step, so that a difference of two is the decay between them. CB
is zero where step j does not reach step i: what lies ahead of a scan that runs forward, or behind one that runs
backward.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from samcli.ssm.state import scan_dtype
from samcli.ssm.triton import choice

CHUNK = 128  # tokens (Q); longer chunks spend more on the Q x Q mixing matrices, shorter ones on the state
WHOLE = 160  # tokens; a sequence up to this length is one chunk
FORGOTTEN = {torch.float32: -30.0, torch.float64: -60.0}  # log2 of a decay that keeps nothing the dtype could show
LOG2_E = 1 / math.log(2)  # the scan works in powers of two: exp2 runs several times faster than exp on a CPU
CACHED = 1536 * 1024  # bytes of Q x Q matrices that are worked on at once on a CPU
SMALLEST = 2.0**-60  # stands for a scale of zero where its logarithm is taken
# log2 of the least decay: less would add nothing, and a product with denormal numbers takes fifty times as long.
FADED = -100.0
# log2 of the greatest decay times scale: beyond it lies only what CB drops, which must not become infinite before.
UNREACHED = 60.0


def ssd(
    x: Tensor,  # (batch, length, heads, head_dim)
    log_decay: Tensor,  # (batch, length, heads)  dt * A, never positive
    B: Tensor,  # (batch, length, groups, N)
    C: Tensor,  # (batch, length, groups, N)
    scale: Tensor | None = None,  # (batch, length, heads)  dt
    D: Tensor | None = None,  # (heads,)
    state: Tensor | None = None,  # (batch, heads, head_dim, N)
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """y (batch, length, heads, head_dim) and the state after the last step."""
    length, dtype = x.shape[1], scan_dtype(x.dtype)
    if length and choice.applies(x, log_decay, B, C, scale, D, state):
        from samcli.ssm.triton import ssd as own

        return own.ssd(x, log_decay, B, C, scale, D, state, factors=x.dtype)
    x, log_decay, B, C = x.to(dtype), log_decay.to(dtype), B.to(dtype), C.to(dtype)
    scale, D, state = (None if given is None else given.to(dtype) for given in (scale, D, state))
    # below the bound nothing is left of the past, but a sum of such steps would cost its neighbours their digits
    log2_decay = (log_decay * LOG2_E).clamp(min=FORGOTTEN[dtype])
    size = chunk or (length if length <= WHOLE else CHUNK)
    if size >= length:
        return ssd_chunk(x, log2_decay, B, C, scale, D, state)
    pieces: list[Tensor] = []
    for start in range(0, length, size):
        part = slice(start, start + size)
        some = None if scale is None else scale[:, part]
        y, state = ssd_chunk(x[:, part], log2_decay[:, part], B[:, part], C[:, part], some, D, state)
        pieces.append(y)
    return torch.cat(pieces, dim=1), cast(Tensor, state)


def ssd_chunk(
    x: Tensor, log2_decay: Tensor, B: Tensor, C: Tensor, scale: Tensor | None, D: Tensor | None, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """One chunk of Q steps from `state` (None: zeros), in the four steps of the paper's section 6."""
    batch, Q, heads, head_dim = x.shape
    groups, N = B.shape[2:]
    each = heads // groups  # heads that share one B and C
    A_sum = log2_decay.cumsum(dim=1)  # (batch, Q, heads)  log2 of the decay since the chunk began, step included
    Bg, Cg = B.transpose(1, 2), C.transpose(1, 2)  # (batch, groups, Q, N)

    # 1. Inside the chunk: y = (C B^T * L + D) x, where L[i, j] = 2 ** (A_sum[i] - A_sum[j]) * dt[j].
    CB = (Cg @ Bg.mT).tril()  # (batch, groups, Q, Q); no step depends on a later one
    y = mix(A_sum, scale, CB, D, x)

    # 2. The chunk's own state: every input, decayed to the end of the chunk.
    to_end = (A_sum[:, -1:] - A_sum).exp2()  # (batch, Q, heads)
    decay = to_end if scale is None else to_end * scale
    decayed = (x * decay[..., None]).reshape(batch, Q, groups, each * head_dim).permute(0, 2, 3, 1)
    own = (decayed @ Bg).view(batch, heads, head_dim, N)  # a product that reads its left side across needs no copy
    if state is None:
        return y, own

    # 3. The recurrence between chunks: the carried state, decayed over the whole chunk, and the chunk's own.
    following = torch.addcmul(own, state, A_sum[:, -1].exp2()[..., None, None])

    # 4. What the carried state gives every step of the chunk: y += 2 ** A_sum * C h.
    h = state.reshape(batch, groups, each * head_dim, N)
    Ch = (Cg @ h.mT).transpose(1, 2)  # (batch, Q, groups, each * head_dim)
    return torch.addcmul(y, Ch.reshape(batch, Q, heads, head_dim), A_sum.exp2()[..., None]), following


def ssd_step(
    x: Tensor,  # (batch, heads, head_dim)
    log_decay: Tensor,  # (batch, heads)
    B: Tensor,  # (batch, groups, N)
    C: Tensor,  # (batch, groups, N)
    scale: Tensor | None,  # (batch, heads)
    D: Tensor | None,  # (heads,)
    state: Tensor,  # (batch, heads, head_dim, N)
) -> tuple[Tensor, Tensor]:
    """One token of the recurrence as it stands in the module's text."""
    batch, heads, _, N = state.shape
    each = heads // B.shape[1]
    xs = x if scale is None else x * scale[..., None]
    Bh, Ch = (m.repeat_interleave(each, dim=1) if B.shape[1] > 1 else m.expand(batch, heads, N) for m in (B, C))
    state = torch.addcmul(xs[..., None] * Bh[:, :, None], state, log_decay.exp()[..., None, None])
    y = (state @ Ch[..., None]).squeeze(-1)  # (batch, heads, head_dim)
    return (y if D is None else y + x * D[:, None]), state


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
