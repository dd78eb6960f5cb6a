"""A window's tokens on their way into a two-way block: the convolution, and how its steps lie in time.

Rows are windows (batch, length, ...), of which the first `counts` (batch,) tokens are valid. Heads and groups of the
first half scan forward, the others backward. `size` threads share the work.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import prange

from samcli.ssm.fast.loops.arithmetic import silu, softplus, wide
from samcli.ssm.fast.loops.compiler import compiled, shared_out
from samcli.ssm.fast.loops.stretches import add_tap
from samcli.ssm.fast.loops.tokens import share

ZERO = np.float32(0.0)
DIRECTIONS = 2


@shared_out
def convolve(size, projected, counts, offset, taps, bias, x, BC):
    """The centred convolution of projected (batch, length, ...) from channel `offset` on, and its activation.

    Its first channels go to x (batch, heads, length, P); then come B forward and backward and C forward and backward,
    which go to BC (batch, directions, 2, length, N).
    """
    batch, length = projected.shape[:2]
    for part in prange(size):
        first, last = share(batch * length, part, size)
        heard = np.empty(taps.shape[1], np.float32)
        for turn in range(first, last):
            row, t = turn // length, turn % length
            around(projected[row, : counts[row]], offset, taps, bias, t, heard)
            spread(heard, x[row], BC[row], t)


@compiled
def around(projected, offset, taps, bias, t, heard):
    """All channels of the step t; beyond the valid ones there is nothing."""
    width, channels = taps.shape
    begin = t - width // 2
    if width == 5 and begin >= 0 and begin + 5 <= len(projected):  # which is nearly always; in one pass
        # slices counted from their beginnings: an index that may look negative costs the vectors
        p0, p1 = projected[begin, offset : offset + channels], projected[begin + 1, offset : offset + channels]
        p2, p3 = projected[begin + 2, offset : offset + channels], projected[begin + 3, offset : offset + channels]
        p4, tap0, tap1 = projected[begin + 4, offset : offset + channels], taps[0], taps[1]
        tap2, tap3, tap4 = taps[2], taps[3], taps[4]
        for k in range(channels):
            total = bias[k] + tap0[k] * wide(p0[k]) + tap1[k] * wide(p1[k]) + tap2[k] * wide(p2[k])
            heard[k] = silu(total + tap3[k] * wide(p3[k]) + tap4[k] * wide(p4[k]))
        return
    heard[:] = bias
    for tap in range(width):
        if 0 <= begin + tap < len(projected):
            add_tap(taps[tap], projected[begin + tap, offset : offset + channels], heard)
    for k in range(channels):
        heard[k] = silu(heard[k])


@compiled
def spread(heard, x, BC, t):
    heads, _, P = x.shape
    N = BC.shape[3]
    for head in range(heads):
        x[head, t] = heard[head * P : (head + 1) * P]
    for group in range(2 * DIRECTIONS):
        begin = heads * P + group * N
        BC[group % DIRECTIONS, group // DIRECTIONS, t] = heard[begin : begin + N]


@shared_out
def places(size, projected, counts, offset, dt_bias, rate, place, scale):
    """Where steps lie in time, by the logarithm of what decays from one to the other, and how long they last.

    The steps of projected (batch, length, ...) begin at channel `offset`; `rate` (heads,) is the logarithm of a step's
    decay over its length; place and scale (batch, heads, length).
    """
    batch, heads, length = place.shape
    for part in prange(size):
        first, last = share(batch * heads, part, size)
        for turn in range(first, last):
            row, head = turn // heads, turn % heads
            total = ZERO
            for t in range(length):
                dt = softplus(wide(projected[row, t, offset + head]) + dt_bias[head]) if t < counts[row] else ZERO
                scale[row, head, t] = dt
                decay = dt * rate[head]
                # backward is the mirror image: what decays from a step on to the end of the window, less all
                place[row, head, t] = total + decay if head < heads // DIRECTIONS else -total
                total += decay
