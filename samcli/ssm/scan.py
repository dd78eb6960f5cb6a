"""First-order recurrences in plain PyTorch: h[t] = decay[t] * h[t-1] + update[t], and Mamba's selective scan on top.

Guarantees: never below float32 whatever the inputs' precision, any cut of the time axis with the state carried
gives the result of one pass, and work that grows linearly with length. The time axis is folded into about
sqrt(length) chunks that are scanned side by side, so a sequence of 8192 steps costs some 180 small steps and not
8192.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm.state import scan_dtype
from samcli.ssm.triton import choice


def _scan_last(decay: Tensor, update: Tensor, state: Tensor | None) -> Tensor:
    """All h along the last axis; overwrites nothing the caller holds."""
    length = decay.shape[-1]
    root = math.isqrt(length - 1) + 1
    # steps per chunk: near the root, and a divisor of the length when there is one, which saves padding
    size = next((size for size in range(root, 2 * root) if length % size == 0), root)
    chunks = -(-length // size)
    short = chunks * size - length  # decay 1 and update 0 leave the state alone
    folded = (*decay.shape[:-1], chunks, size)
    order = torch.contiguous_format  # and always a copy: both are overwritten below
    if short:
        decay, update = F.pad(decay, (0, short), value=1.0), F.pad(update, (0, short))
    a = decay.reshape(folded).movedim(-1, 0).clone(memory_format=order)  # (size, ..., chunks)
    h = update.reshape(folded).movedim(-1, 0).clone(memory_format=order)
    for step in range(1, size):
        h[step].addcmul_(a[step], h[step - 1])
        a[step].mul_(a[step - 1])  # becomes the decay since the chunk's start
    carry = torch.zeros_like(h[0, ..., 0]) if state is None else state.to(h.dtype)
    before = torch.empty_like(h[0])  # (..., chunks): the state each chunk starts from
    for chunk in range(chunks):
        before[..., chunk] = carry
        carry = torch.addcmul(h[-1, ..., chunk], a[-1, ..., chunk], carry)
    h.addcmul_(a, before)
    out: Tensor = h.movedim(0, -1).flatten(-2)[..., :length]
    return out


class _FirstOrder(torch.autograd.Function):
    """The gradient of a scan is the scan of the gradient, backwards: dh[t] = g[t] + decay[t+1] * dh[t+1]."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, update: Tensor, state: Tensor) -> Tensor:
        h = _scan_last(decay, update, state)
        ctx.save_for_backward(decay, h, state)
        return h

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decay, h, state = ctx.saved_tensors
        following = F.pad(decay[..., 1:], (0, 1))  # decay[t+1]; nothing follows the last step
        dh = _scan_last(following.flip(-1), grads[0].flip(-1), None).flip(-1)
        previous = torch.cat([state[..., None], h[..., :-1]], dim=-1)  # h[t-1]
        return dh * previous, dh, dh[..., 0] * decay[..., 0]


def first_order_scan(decay: Tensor, update: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """All states h along the last axis and the last of them: (..., length) twice -> (..., length) and (...)."""
    dtype = scan_dtype(update.dtype)
    decay, update = decay.to(dtype), update.to(dtype)
    state = decay.new_zeros(decay.shape[:-1]) if state is None else state.to(dtype)
    if not decay.shape[-1]:
        return update, state
    if choice.applies(update, decay, state):
        from samcli.ssm.triton import first_order

        return first_order.first_order_scan(decay, update, state)
    h: Tensor = _FirstOrder.apply(decay, update, state)  # type: ignore[no-untyped-call]
    return h, h[..., -1].clone()  # a view would keep all the states alive behind a carried one


SCAN_TOKENS = 128  # tokens of a selective scan that are expanded to (channels, N) at once: bounds memory, not results


def selective_scan(
    u: Tensor,  # (batch, length, channels)
    dt: Tensor,  # (batch, length, channels)  positive
    A: Tensor,  # (channels, N)  negative
    B: Tensor,  # (batch, length, N)
    C: Tensor,  # (batch, length, N)
    D: Tensor | None = None,  # (channels,)
    state: Tensor | None = None,  # (batch, channels, N)
) -> tuple[Tensor, Tensor]:
    """Mamba's scan (S6, arXiv 2312.00752): h = exp(dt A) h + dt B u, y = C h + D u, and the state after the last step.

    A step with dt = 0 leaves the state as it was, which is how padding is written.
    """
    if u.shape[1] and choice.applies(u, dt, A, B, C, D, state):
        from samcli.ssm.triton import first_order

        return first_order.selective_scan(u, dt, A, B, C, D, state)
    dtype = scan_dtype(u.dtype)
    u, dt, A, B, C = u.to(dtype), dt.to(dtype), A.to(dtype), B.to(dtype), C.to(dtype)
    h = u.new_zeros(u.shape[0], *A.shape) if state is None else state.to(dtype)
    pieces: list[Tensor] = []
    for start in range(0, u.shape[1], SCAN_TOKENS):
        part = slice(start, start + SCAN_TOKENS)
        step = dt[:, part].transpose(1, 2)[:, :, None]  # (batch, channels, 1, tokens)
        update = (dt[:, part] * u[:, part]).transpose(1, 2)[:, :, None] * B[:, part].transpose(1, 2)[:, None]
        along, h = first_order_scan(torch.exp(step * A[..., None]), update, h)  # (batch, channels, N, tokens)
        pieces.append(torch.einsum("bdnt,btn->btd", along, C[:, part]))
    y = torch.cat(pieces, dim=1) if pieces else u
    return (y if D is None else y + u * D.to(dtype)), h
