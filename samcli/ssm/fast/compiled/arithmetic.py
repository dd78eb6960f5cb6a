"""Single numbers: what the loops are made of."""
# mypy: allow-untyped-defs, allow-untyped-decorators

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from samcli.ssm.fast.compiled.compiler import compiled

LOG2_E = np.float32(1.4426950408889634)
# 2 ** f for f in [-1/2, 1/2] by its series, the highest power first: what is left out is below 1e-8
P0, P1, P2, P3, P4, P5, P6, P7 = (np.float32(math.log(2) ** k / math.factorial(k)) for k in range(7, -1, -1))
HALF, ONE = np.float32(0.5), np.float32(1.0)
LEAST, MOST = np.float32(-126.0), np.float32(126.0)


def _bitcast(to: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], to)

    return generate


@intrinsic
def float_of(typing: Any, bits: Any) -> Any:
    """The float32 of these 32 bits."""
    return types.float32(types.int32), _bitcast(ir.FloatType())


@intrinsic
def wide(typing: Any, number: Any) -> Any:
    """A float32 as it is, or the float32 of a bfloat16's bits."""

    def widen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.shl(builder.zext(arguments[0], ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
        return builder.bitcast(bits, ir.FloatType())

    def same(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[0]

    return types.float32(number), widen if number == types.uint16 else same


@intrinsic
def narrow(typing: Any, number: Any, like: Any) -> Any:
    """A float32 in the type of `like`: as it is, or as the bits of the nearest bfloat16, ties to even."""
    word = ir.IntType(32)

    def round_off(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], word)
        sixteen, last = ir.Constant(word, 16), ir.Constant(word, 1)
        odd = builder.and_(builder.lshr(bits, sixteen), last)
        rounded = builder.add(bits, builder.add(odd, ir.Constant(word, 0x7FFF)))
        # rounding up could carry a number that is none into infinity's place
        nothing = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        kept = builder.select(nothing, builder.or_(bits, ir.Constant(word, 0x400000)), rounded)
        return builder.trunc(builder.lshr(kept, sixteen), ir.IntType(16))

    def same(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[0]

    return like(types.float32, like), round_off if like == types.uint16 else same


@compiled
def exp2(x):
    x = max(min(x, MOST), LEAST)
    whole = np.floor(x + HALF)
    f = x - whole
    power = ((((((P0 * f + P1) * f + P2) * f + P3) * f + P4) * f + P5) * f + P6) * f + P7
    return power * float_of(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))


@compiled
def silu(x):
    return x / (ONE + exp2(-LOG2_E * x))


@compiled
def softplus(x):
    return x if x > np.float32(20.0) else np.float32(np.log1p(np.exp(x)))
