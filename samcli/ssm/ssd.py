"""State-space duality (Mamba-2, arXiv 2405.21060, sections 5-6): a scan written as matrix products.

For every head, with a scalar decay per step,

    h_t = exp(log_decay_t) * h_{t-1} + scale_t * x_t B_t^T          h: (head_dim, N)
    y_t = h_t C_t + D x_t

`ssd` walks the sequence in chunks and carries h from one chunk to the next; inside a chunk all steps happen at
once. Any chunk length and any split of the sequence give the same numbers up to rounding. Padding is written as
scale 0 and log_decay 0, which leaves h untouched. Never below float32. Gradients flow to every input, the initial
state included.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from samcli.ssm.fast.linear import times_transposed
from samcli.ssm.mixing import mix
from samcli.ssm.state import scan_dtype

CHUNK = 128  # tokens (Q); longer chunks spend more on the Q x Q mixing matrices, shorter ones on the state
WHOLE = 160  # tokens; a sequence up to this length is one chunk
FORGOTTEN = {torch.float32: -30.0, torch.float64: -60.0}  # log2 of a decay that keeps nothing the dtype could show
LOG2_E = 1 / math.log(2)  # the scan works in powers of two: exp2 runs several times faster than exp on a CPU


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
    CB = times_transposed(Cg, Bg).tril()  # (batch, groups, Q, Q); no step depends on a later one
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
    Ch = times_transposed(Cg, h).transpose(1, 2)  # (batch, Q, groups, each * head_dim)
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
