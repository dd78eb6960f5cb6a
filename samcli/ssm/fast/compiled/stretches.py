"""Stretches of tokens through a Mamba-2 block, between the matrix products.

A stretch of `length` tokens is cut into chunks of Q, the last one filled up with nothing. Arrays of the scan stand head
by head, (batch, heads, chunks, Q, ...), so that all products of all chunks are one batch. `size` threads share the
work.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import prange

from samcli.ssm.fast.compiled.arithmetic import exp2, narrow, silu, wide
from samcli.ssm.fast.compiled.compiler import compiled, shared_out
from samcli.ssm.fast.compiled.tokens import norm_of, share

ZERO, ONE = np.float32(0.0), np.float32(1.0)
VECTOR = 16  # numbers that are computed at once anyway
# Logarithms of decays: less adds nothing, but denormal numbers would slow the product down; more reaches nothing.
FADED, UNREACHED = np.float32(-100.0), np.float32(60.0)
FORGOTTEN = np.float32(-30.0)  # of a step that keeps nothing: more would cost its neighbours their digits


@shared_out
def norms(size, x, weight, eps, out):
    """Rows of x over their root mean square, times weight: (rows, width) both, `out` in any dtype."""
    for part in prange(size):
        first, last = share(len(x), part, size)
        for row in range(first, last):
            norm_of(x[row], weight, eps, 1, out[row])


@shared_out
def convolve(size, projected, offset, tail, taps, bias, x, BC):
    """The causal convolution of projected (batch, length, ...) from `offset` on, and its activation.

    What comes after `tail` (batch, width - 1, channels) goes to x (batch, heads, filled length, head_dim) and, past
    these channels, to BC (batch, filled length, 2 N).
    """
    batch, length = projected.shape[:2]
    filled = BC.shape[1]
    for part in prange(size):
        first, last = share(batch * filled, part, size)
        heard = np.empty(taps.shape[1], np.float32)
        for place in range(first, last):
            row, t = place // filled, place % filled
            if t < length:
                steps_of(projected[row], offset, tail[row], taps, bias, t, heard)
            else:
                heard[:] = ZERO
            spread(heard, x[row], BC[row], t)


@compiled
def steps_of(projected, offset, tail, taps, bias, t, heard):
    """All channels of one step."""
    width, channels = taps.shape
    if width == 4 and t >= 3:  # which is nearly always; in one pass
        # slices counted from their beginnings: an index that may look negative costs the vectors
        first, second = projected[t - 3, offset : offset + channels], projected[t - 2, offset : offset + channels]
        third, now = projected[t - 1, offset : offset + channels], projected[t, offset : offset + channels]
        tap0, tap1, tap2, tap3 = taps[0], taps[1], taps[2], taps[3]
        for channel in range(channels):
            total = bias[channel] + tap0[channel] * wide(first[channel]) + tap1[channel] * wide(second[channel])
            heard[channel] = silu(total + tap2[channel] * wide(third[channel]) + tap3[channel] * wide(now[channel]))
        return
    heard[:] = bias
    for k in range(width):
        before = t - (width - 1) + k
        if before < 0:
            add_tap(taps[k], tail[width - 1 + before], heard)
        else:
            add_tap(taps[k], projected[before, offset : offset + channels], heard)
    for channel in range(channels):
        heard[channel] = silu(heard[channel])


@compiled
def add_tap(tap, seen, heard):
    for channel in range(len(heard)):
        heard[channel] += tap[channel] * wide(seen[channel])


@compiled
def spread(heard, x, BC, t):
    heads, _, head_dim = x.shape
    for head in range(heads):
        x[head, t] = heard[head * head_dim : (head + 1) * head_dim]
    BC[t] = heard[heads * head_dim :]


@shared_out
def decays(size, dt, rate, total, left, reach, end, scale):
    """How the steps dt (batch, length, heads) decay, at `rate` (heads,), the logarithm of a step's decay over dt.

    All come head by head, (batch, heads, chunks, Q): `total` is the logarithm since the chunk began, `reach` what is
    then left of the past, `left` how much of a step's input is left at the chunk's end, `end` (batch, heads, chunks)
    what is left of the past there, `scale` dt itself. What fills up the last chunk takes no time.
    """
    batch, heads, chunks, Q = total.shape
    length = dt.shape[1]
    for part in prange(size):
        first, last = share(batch * heads, part, size)
        for turn in range(first, last):
            row, head = turn // heads, turn % heads
            for chunk in range(chunks):
                sum_, step, whole = total[row, head, chunk], scale[row, head, chunk], ZERO
                for q in range(Q):
                    t = chunk * Q + q
                    step[q] = dt[row, t, head] if t < length else ZERO
                    whole += max(step[q] * rate[head], FORGOTTEN)
                    sum_[q] = whole
                reached, kept_ = reach[row, head, chunk], left[row, head, chunk]
                for q in range(Q):
                    reached[q] = exp2(sum_[q])
                    kept_[q] = exp2(whole - sum_[q]) * step[q]
                end[row, head, chunk] = reached[Q - 1]


@shared_out
def mixing(size, place, scale, CB, D, M):
    """How each step of a chunk reaches the later ones: M (batch, heads, chunks, Q, Q), all of it.

    M[i, j] = CB[i, j] * 2 ** (place_i - place_j) * scale_j for j <= i, else zero, plus D on the diagonal;
    place and scale (batch, heads, chunks, Q), CB (batch, chunks, Q, Q).
    """
    batch, heads, chunks, Q = place.shape
    for part in prange(size):
        first, last = share(batch * heads * chunks, part, size)
        for turn in range(first, last):
            chunk, head, row = turn % chunks, turn // chunks % heads, turn // chunks // heads
            places, scales = place[row, head, chunk], scale[row, head, chunk]
            for i in range(Q):
                weight, out = CB[row, chunk, i], M[row, head, chunk, i]
                high = min(Q, (i // VECTOR + 1) * VECTOR)  # whole vectors: what is too much becomes zero
                reach_of(places[i], places[:high], scales[:high], weight[:high], out[:high])
                out[i + 1 :] = ZERO
                out[i] += D[head]


@compiled
def reach_of(place, places, scale, weight, out):
    for j in range(len(out)):
        out[j] = weight[j] * scale[j] * exp2(max(min(place - places[j], UNREACHED), FADED))


@shared_out
def kept(size, x, share_, out):
    """What of each input is left at its chunk's end.

    x (batch, heads, chunks, Q, P), share_ (batch, heads, chunks, Q), out (batch, chunks, Q, heads P).
    """
    batch, heads, chunks, Q, P = x.shape
    for part in prange(size):
        first, last = share(batch * chunks * Q, part, size)
        for turn in range(first, last):
            q, chunk, row = turn % Q, turn // Q % chunks, turn // Q // chunks
            target = out[row, chunk, q]
            for head in range(heads):
                values, weight = x[row, head, chunk, q], share_[row, head, chunk, q]
                part_of = target[head * P : (head + 1) * P]
                for p in range(P):
                    part_of[p] = values[p] * weight


@shared_out
def carry(size, added, decay, state):
    """From what each chunk adds to the state each begins with, in place; `state` becomes the last one.

    added (batch, chunks, heads, P N), decay (batch, heads, chunks), state (batch, heads, P N).
    """
    batch, chunks, heads, width = added.shape
    for part in prange(size):
        first, last = share(batch * heads, part, size)
        for turn in range(first, last):
            row, head = turn // heads, turn % heads
            h = state[row, head]
            for chunk in range(chunks):
                new, faded = added[row, chunk, head], decay[row, head, chunk]
                for n in range(width):
                    fresh = new[n]
                    new[n] = h[n]
                    h[n] = h[n] * faded + fresh


@shared_out
def gate(size, y, carried, reach, projected, norm, eps, out):
    """norm((y + carried * reach) * silu(z)), z the first channels of projected (batch, length, ...).

    y (batch, heads, filled length, P), carried (batch, filled length, heads P), reach (batch, heads, filled length),
    out (batch, length, heads P) in any dtype.
    """
    batch, length, inner = out.shape
    heads, P = y.shape[1], y.shape[3]
    for part in prange(size):
        first, last = share(batch * length, part, size)
        line = np.empty(inner, np.float32)
        for turn in range(first, last):
            row, t = turn // length, turn % length
            z = projected[row, t]
            for head in range(heads):
                values, sum_ = y[row, head, t], line[head * P : (head + 1) * P]
                weight, old = reach[row, head, t], carried[row, t, head * P : (head + 1) * P]
                for p in range(P):
                    sum_[p] = values[p] + weight * old[p]
            total = ZERO
            for k in range(inner):
                gated = line[k] * silu(wide(z[k]))
                line[k] = gated
                total += gated * gated
            scale = ONE / np.sqrt(total / np.float32(inner) + eps)
            target = out[row, t]
            for k in range(inner):
                target[k] = narrow(line[k] * scale * norm[k], target[k])
