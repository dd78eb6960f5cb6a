"""One token per row through a Mamba-2 block.

Rows are (rows, ...) arrays; `size` threads share the work. States `ssm` and `tail` are overwritten. Heads stand in
`groups` that share B and C and a norm.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import prange

from samcli.ssm.fast.compiled.arithmetic import narrow, silu, softplus, wide
from samcli.ssm.fast.compiled.compiler import compiled, shared_out

ZERO, ONE = np.float32(0.0), np.float32(1.0)


@shared_out
def few(
    size, residual, norm, eps, weight_in, taps, bias, dt_bias, A, D, groups, inner_norm, inner_eps, weight_out,
    ssm, tail,
):  # fmt: skip
    """The whole block for rows so few that reading the weights takes the time; adds to `residual` (rows, width)."""
    rows, heads = ssm.shape[:2]
    inner, channels = weight_out.shape[1], taps.shape[1]
    normed = np.empty((size, rows, max(inner, residual.shape[1])), np.float32)  # a copy for every thread
    projected = np.empty((rows, weight_in.shape[0]), np.float32)
    heard = np.empty((rows, channels), np.float32)
    y = np.empty((rows, inner), np.float32)
    for part in prange(size):
        for row in range(rows):
            norm_of(residual[row], norm, eps, 1, normed[part, row])
        first, last = share(weight_in.shape[0], part, size)
        products(weight_in, normed[part], projected, first, last, False)
    for part in prange(size):
        first, last = share(channels, part, size)
        for row in range(rows):
            convolve(projected[row], inner, tail[row], taps, bias, heard[row], first, last)
    for part in prange(size):
        first, last = share(heads, part, size)
        for row in range(rows):
            advance(projected[row], heard[row], dt_bias, A, D, groups, ssm[row], y[row], first, last)
    for part in prange(size):
        for row in range(rows):
            norm_of(y[row], inner_norm, inner_eps, groups, normed[part, row])
        first, last = share(weight_out.shape[0], part, size)
        products(weight_out, normed[part], residual, first, last, True)


@shared_out
def many(
    size, projected, taps, bias, dt_bias, A, D, groups, inner_norm, inner_eps, ssm, tail, out,
):  # fmt: skip
    """What stands between the block's two projections, for many rows: `out` (rows, inner); both in any dtype."""
    rows, heads = ssm.shape[:2]
    inner, channels = out.shape[1], taps.shape[1]
    for part in prange(size):
        first, last = share(rows, part, size)
        heard, y = np.empty(channels, np.float32), np.empty(inner, np.float32)
        for row in range(first, last):
            convolve(projected[row], inner, tail[row], taps, bias, heard, 0, channels)
            advance(projected[row], heard, dt_bias, A, D, groups, ssm[row], y, 0, heads)
            norm_of(y, inner_norm, inner_eps, groups, out[row])


@shared_out
def head(size, hidden, norm, eps, weight, logits):
    """The final norm and the head: hidden (rows, width) to logits (rows, vocabulary)."""
    rows = len(hidden)
    normed = np.empty((size, rows, hidden.shape[1]), np.float32)
    for part in prange(size):
        for row in range(rows):
            norm_of(hidden[row], norm, eps, 1, normed[part, row])
        first, last = share(weight.shape[0], part, size)
        products(weight, normed[part], logits, first, last, False)


@compiled
def share(count, part, parts):
    """The range that is one part's of so many."""
    return part * count // parts, (part + 1) * count // parts


@compiled
def products(weight, x, y, first, last, adds):
    """Outputs first..last of x (rows, in) times the transpose of weight (out, in); added to y, or in its place."""
    rows, length = y.shape[0], weight.shape[1]
    for output in range(first, last):
        taken = weight[output]
        for row in range(rows):
            values = x[row]
            total = ZERO
            for k in range(length):
                total += wide(taken[k]) * values[k]
            y[row, output] = y[row, output] + total if adds else total


@compiled
def norm_of(x, weight, eps, groups, out):
    """x over its root mean square in each group, times weight."""
    width = len(x) // groups
    for group in range(groups):
        first, last = group * width, (group + 1) * width
        total = ZERO
        for k in range(first, last):
            total += x[k] * x[k]
        scale = ONE / np.sqrt(total / np.float32(width) + eps)
        for k in range(first, last):
            out[k] = narrow(x[k] * scale * weight[k], out[k])


@compiled
def convolve(projected, offset, tail, taps, bias, heard, first, last):
    """The causal convolution and its activation in channels first..last."""
    width = taps.shape[0]
    # counted from their beginnings: an index that may look negative costs the vectors
    now, out, part = projected[offset + first : offset + last], heard[first:last], taps[width - 1, first:last]
    for channel in range(len(out)):
        out[channel] = bias[first + channel] + part[channel] * wide(now[channel])
    for k in range(width - 1):
        old, part = tail[k, first:last], taps[k, first:last]
        for channel in range(len(out)):
            out[channel] += part[channel] * old[channel]
    for k in range(width - 2):
        tail[k, first:last] = tail[k + 1, first:last]
    if width > 1:
        latest = tail[width - 2, first:last]
        for channel in range(len(latest)):
            latest[channel] = wide(now[channel])
    for channel in range(len(out)):
        out[channel] = silu(out[channel])


@compiled
def advance(projected, heard, dt_bias, A, D, groups, ssm, y, first, last):
    """h = decay h + dt x B in heads first..last, and y = (h C + D x) silu(z)."""
    heads, size, N = ssm.shape
    inner = heads * size
    for head in range(first, last):
        group = head // (heads // groups)
        B = heard[inner + group * N : inner + (group + 1) * N]
        C = heard[inner + (groups + group) * N : inner + (groups + group + 1) * N]
        dt = softplus(wide(projected[inner + len(heard) + head]) + dt_bias[head])
        decay = np.exp(dt * A[head])
        for p in range(size):
            place = head * size + p
            x = heard[place]
            scaled = x * dt
            row = ssm[head, p]
            total = ZERO
            for n in range(N):
                h = row[n] * decay + scaled * B[n]
                row[n] = h
                total += h * C[n]
            y[place] = (total + D[head] * x) * silu(wide(projected[place]))
