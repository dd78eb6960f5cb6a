"""The sums before and after the products of a Winograd convolution, each in one pass.

The numbers are those of `samcli.ssm.fast.winograd.plan`, written out: eight inputs in a row, six outputs.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import prange

from samcli.ssm.fast.loops.arithmetic import gelu
from samcli.ssm.fast.loops.compiler import compiled, shared_out
from samcli.ssm.fast.loops.tokens import share

POINTS, STEPS = 8, 6
ZERO, HALF, TWO, FOUR = (np.float32(value) for value in (0, 0.5, 2, 4))
QUARTER, EIGHTH, SIXTEENTH, THIRTY_SECOND = (np.float32(2.0**-k) for k in (2, 3, 4, 5))
EIGHT, SIXTEEN, THIRTY_TWO = (np.float32(2.0**k) for k in (3, 4, 5))
C0, C1, C2, C3 = (np.float32(value) for value in (5.25, 4.25, 1.25, 5))  # of the polynomials' middle terms


@shared_out
def values(size, rows, out):
    """rows (batch, time, width), padded by one step, to the values at each point (points, batch, tiles, width)."""
    batch, width, tiles = rows.shape[0], rows.shape[2], out.shape[2]
    nothing = np.zeros(width, np.float32)
    for part in prange(size):
        first, last = share(batch * tiles, part, size)
        for turn in range(first, last):
            row, tile = turn // tiles, turn % tiles
            begin, whole = STEPS * tile - 1, rows[row]
            values_of(
                step_of(whole, begin, nothing), step_of(whole, begin + 1, nothing),
                step_of(whole, begin + 2, nothing), step_of(whole, begin + 3, nothing),
                step_of(whole, begin + 4, nothing), step_of(whole, begin + 5, nothing),
                step_of(whole, begin + 6, nothing), step_of(whole, begin + 7, nothing),
                out[0, row, tile], out[1, row, tile], out[2, row, tile], out[3, row, tile],
                out[4, row, tile], out[5, row, tile], out[6, row, tile], out[7, row, tile],
            )  # fmt: skip


@compiled
def step_of(rows, step, nothing):
    return rows[step] if 0 <= step < len(rows) else nothing


@compiled
def values_of(
    i0, i1, i2, i3, i4, i5, i6, i7, at_zero, plus1, minus1, plus2, minus2, plus_half, minus_half, at_infinity
):
    for k in range(len(at_zero)):
        a0, a1, a2, a3, a4, a5, a6, a7 = i0[k], i1[k], i2[k], i3[k], i4[k], i5[k], i6[k], i7[k]
        at_zero[k] = a6 - a0 + C0 * (a2 - a4)
        at_infinity[k] = a7 - a1 + C0 * (a3 - a5)
        even, odd = a6 + a2 - C1 * a4, a5 + a1 - C1 * a3
        plus1[k], minus1[k] = even + odd, even - odd
        even, odd = a6 - C2 * a4 + QUARTER * a2, TWO * (a5 - C2 * a3 + QUARTER * a1)
        plus2[k], minus2[k] = even + odd, even - odd
        even, odd = a6 - C3 * a4 + FOUR * a2, HALF * (a5 - C3 * a3 + FOUR * a1)
        plus_half[k], minus_half[k] = even + odd, even - odd


@shared_out
def outputs(size, p0, p1, p2, p3, p4, p5, p6, p7, out):
    """GELU of what the products (batch, tiles, width) of the points give: `out` (batch, time, width)."""
    batch, tiles, width = p0.shape
    for part in prange(size):
        first, last = share(batch * tiles, part, size)
        for turn in range(first, last):
            row, tile = turn // tiles, turn % tiles
            spare = np.empty((STEPS, width), np.float32)  # for what is beyond the end
            begin, whole = STEPS * tile, out[row]
            outputs_of(
                p0[row, tile], p1[row, tile], p2[row, tile], p3[row, tile],
                p4[row, tile], p5[row, tile], p6[row, tile], p7[row, tile],
                step_of(whole, begin, spare[0]), step_of(whole, begin + 1, spare[1]),
                step_of(whole, begin + 2, spare[2]), step_of(whole, begin + 3, spare[3]),
                step_of(whole, begin + 4, spare[4]), step_of(whole, begin + 5, spare[5]),
            )  # fmt: skip


@compiled
def outputs_of(at_zero, plus1, minus1, plus2, minus2, plus_half, minus_half, at_infinity, o0, o1, o2, o3, o4, o5):
    for k in range(len(o0)):
        sum1, difference1 = plus1[k] + minus1[k], plus1[k] - minus1[k]
        sum2, difference2 = plus2[k] + minus2[k], plus2[k] - minus2[k]
        sum3, difference3 = plus_half[k] + minus_half[k], plus_half[k] - minus_half[k]
        o0[k] = gelu(at_zero[k] + sum1 + sum2 + sum3)
        o1[k] = gelu(difference1 + TWO * difference2 + HALF * difference3)
        o2[k] = gelu(sum1 + FOUR * sum2 + QUARTER * sum3)
        o3[k] = gelu(difference1 + EIGHT * difference2 + EIGHTH * difference3)
        o4[k] = gelu(sum1 + SIXTEEN * sum2 + SIXTEENTH * sum3)
        o5[k] = gelu(difference1 + THIRTY_TWO * difference2 + THIRTY_SECOND * difference3 + at_infinity[k])
