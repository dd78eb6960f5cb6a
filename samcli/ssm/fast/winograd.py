"""3x3 convolutions in four ninths of the multiplications (Toom and Cook; Winograd, 1980; Lavin and Gray, 2016).

Six outputs in a row of a convolution with three taps are six coefficients of a product of polynomials. Its values at
eight points give them back: eight products in place of eighteen. Here the row runs in time; across frequency each point
is a convolution of its own, with one row of taps. Results differ from the plain way's by rounding only.

Made for a processor whose time goes into multiplications: the sums before and after are cheap beside them from some
fifty channels on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm.fast import kernels
from samcli.ssm.fast.linear import nothing
from samcli.ssm.fast.loops import compiler
from samcli.ssm.fast.loops.compiler import array
from samcli.ssm.fast.maps import onednn

TAPS = 3
POINTS = (Fraction(1), Fraction(2), Fraction(1, 2))  # each with its negative; 0 and infinity as well
LEAST_CHANNELS = 48
LEAST_STEPS = 24  # in time; in fewer too much is padding

Terms = tuple[tuple[int, float], ...]  # which parts to add, times what; the first as it is


@dataclass(frozen=True)
class Plan:
    """How eight inputs in a row become values at eight points, and those six outputs.

    The values at p and -p are the sum and the difference of one half of the inputs and `ratio` times the other.
    """

    origin: Terms  # the value at 0
    pairs: tuple[tuple[Terms, Terms, float], ...]  # even half, odd half, ratio: of each of POINTS
    infinity: Terms
    outputs: tuple[Terms, ...]  # of: at 0, sums of pairs, differences of pairs, at infinity
    taps: Tensor  # (points, TAPS) float64: the values of a kernel

    @property
    def points(self) -> int:
        return len(self.taps)

    @property
    def steps(self) -> int:
        """Outputs at a time."""
        return len(self.outputs)


class WinogradConvolution:
    """GELU of one frozen convolution, padded by one, of stride 1 in time: (batch, channels, time, frequency)."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, made_of: object = None) -> None:
        """`stride` across frequency; `made_of` says, for whoever keeps it, which weights these were."""
        self.made_of = made_of
        self.plan, self.stride, self.bias = plan(), stride, bias.detach()
        values = torch.einsum("pt,oitf->poif", self.plan.taps, weight.detach().double()).to(weight.dtype)
        reorder = torch.ops.mkldnn._reorder_convolution_weight
        self.kernels = [reorder(value[:, :, None].contiguous(), [0, 1], [1, stride], [1, 1], 1) for value in values]

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return nothing, ()

    def __call__(self, x: Tensor) -> Tensor:
        return self.by_loops(x) if compiled() else self.by_operations(x)

    def by_operations(self, x: Tensor) -> Tensor:
        products = [self._product(index, value) for index, value in enumerate(self._values(x))]
        return F.gelu(self._outputs(products)[:, : x.shape[2]]).permute(0, 3, 1, 2)

    def by_loops(self, x: Tensor) -> Tensor:
        """The same, but that compiled loops do what stands before and after the products."""
        from samcli.ssm.fast.loops import winograd as loops

        batch, channels, time, bands = x.shape
        size, tiles = compiler.threads(), -(-time // self.plan.steps)
        rows = x.permute(0, 2, 3, 1).reshape(batch, time, bands * channels)
        values = rows.new_empty(self.plan.points, batch, tiles, bands * channels)
        loops.values(size, array(rows), array(values))
        maps = values.view(self.plan.points, batch, tiles, bands, channels)
        products = [self._product(index, value) for index, value in enumerate(maps)]
        y = rows.new_empty(batch, time, *products[0].shape[2:])
        parts = (array(each.reshape(batch, tiles, -1)) for each in products)
        loops.outputs(size, *parts, array(y.view(batch, time, -1)))
        return y.permute(0, 3, 1, 2)

    def _values(self, x: Tensor) -> Tensor:
        """(points, batch, tiles, frequency, channels)"""
        plan, (batch, channels, time, bands) = self.plan, x.shape
        tiles, row = -(-time // plan.steps), bands * channels
        rows = x.permute(0, 2, 3, 1).reshape(batch, time, row)
        rows = F.pad(rows, (0, 0, 1, tiles * plan.steps + 1 - time))
        strides = (rows.stride(0), plan.steps * row, row, 1)  # tiles overlap by two inputs
        inputs = rows.as_strided((batch, tiles, plan.points, row), strides).unbind(2)
        values = rows.new_empty(plan.points, batch, tiles, row)
        total(inputs, plan.origin, values[0])
        for pair, (even, odd, ratio) in enumerate(plan.pairs):
            halves = total(inputs, even), total(inputs, odd)
            torch.add(*halves, alpha=ratio, out=values[1 + 2 * pair])
            torch.sub(*halves, alpha=ratio, out=values[2 + 2 * pair])
        total(inputs, plan.infinity, values[-1])
        return values.view(plan.points, batch, tiles, bands, channels)

    def _product(self, index: int, value: Tensor) -> Tensor:
        """(batch, tiles, frequency, channels), both"""
        # The value at 1 enters every output once, and so does a bias that is added to it.
        bias = self.bias if index == 1 else None
        y = onednn(value.permute(0, 3, 1, 2), self.kernels[index], bias, (1, self.stride), (0, 1))
        return y.permute(0, 2, 3, 1)

    def _outputs(self, products: list[Tensor]) -> Tensor:
        """(batch, time, frequency, channels), whole tiles of time"""
        batch, tiles, bands, channels = products[0].shape
        pairs = list(zip(products[1:-1:2], products[2:-1:2], strict=True))
        sums = [plus + minus for plus, minus in pairs]
        parts = [products[0], *sums, *(plus.sub_(minus) for plus, minus in pairs), products[-1]]
        y = products[0].new_empty(batch, tiles, self.plan.steps, bands, channels)
        for step, terms in enumerate(self.plan.outputs):
            total(parts, terms, y[:, :, step])
        return y.view(batch, -1, bands, channels)


def serves(x: Tensor, weight: Tensor, stride: tuple[int, ...]) -> bool:
    """Whether it would be quicker here."""
    large = weight.shape[1] >= LEAST_CHANNELS and x.shape[2] >= LEAST_STEPS
    return large and stride[0] == 1 and kernels.onednn_may(x, weight) and packed_convolutions()


@functools.cache
def packed_convolutions() -> bool:
    """Whether convolutions made of oneDNN's are there, and right."""
    x = torch.linspace(-2, 2, 2 * 7 * 4).view(1, 2, 7, 4).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.linspace(-1, 1, 54).view(3, 2, 3, 3), torch.tensor([0.5, -0.5, 0.0])
    plain = F.gelu(F.conv2d(x, weight, bias, padding=1))
    return kernels.holds(
        lambda: torch.allclose(WinogradConvolution(weight, bias, 1).by_operations(x), plain, rtol=1e-4, atol=1e-4)
    )


def compiled() -> bool:
    return not kernels.plain() and loops_agree()


@functools.cache
def loops_agree() -> bool:
    """Whether the compiled loops are there, and right."""
    if not compiler.installed():
        return False
    x = torch.linspace(-2, 2, 2 * 3 * 13 * 4).view(2, 3, 13, 4).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.linspace(-1, 1, 5 * 3 * 9).view(5, 3, 3, 3).sin(), torch.linspace(-1, 1, 5)
    exact = F.gelu(F.conv2d(x, weight, bias, padding=1))
    return kernels.never_raises(lambda: kernels.close(WinogradConvolution(weight, bias, 1).by_loops(x), exact, 1e-4))


def total(parts: Sequence[Tensor], terms: Terms, out: Tensor | None = None) -> Tensor:
    (first, _), *others = terms
    result = parts[first]
    for number, (index, factor) in enumerate(others, 1):
        place = out if number == len(others) else None if number == 1 else result
        result = torch.add(result, parts[index], alpha=factor, out=place)
    return result


@functools.cache
def plan() -> Plan:
    places = [Fraction(0), *(place for point in POINTS for place in (point, -point))]

    def others(place: Fraction | None) -> list[Fraction]:
        """The polynomial that is zero at all places but this one, the lowest power first."""
        product = [Fraction(1)]
        for root in places:
            if root != place:
                steps = zip([Fraction(0), *product], [*product, Fraction(0)], strict=True)
                product = [high - root * low for high, low in steps]
        return product

    def at(place: Fraction, values: list[Fraction]) -> Fraction:
        return sum((value * place**power for power, value in enumerate(values)), Fraction(0))

    def taps(place: Fraction, scale: Fraction) -> list[float]:
        return [float(place**power * scale / at(place, others(place))) for power in range(TAPS)]

    origin, highest = others(Fraction(0)), others(None)
    pairs, values = [], [taps(Fraction(0), origin[-1])]
    for point in POINTS:
        even, odd = (terms_of(others(point), parity) for parity in (0, 1))
        pairs.append((even[0], odd[0], float(odd[1] / even[1])))
        values += [taps(place, even[1]) for place in (point, -point)]
    values.append([0.0] * (TAPS - 1) + [float(highest[-1])])
    steps, count = len(places) + 2 - TAPS, len(POINTS)
    outputs: list[Terms] = []
    for step in range(steps):
        first = 1 + count * (step % 2)  # odd powers of p and -p differ
        terms = [(first + index, float(point**step)) for index, point in enumerate(POINTS)]
        terms += [(0, 1.0)] if step == 0 else [(1 + 2 * count, 1.0)] if step == steps - 1 else []
        outputs.append(tuple(terms))
    exact = torch.tensor(values, dtype=torch.float64)
    return Plan(terms_of(origin, 0)[0], tuple(pairs), terms_of(highest, 1)[0], tuple(outputs), exact)


def terms_of(polynomial: Sequence[Fraction], parity: int) -> tuple[Terms, Fraction]:
    """Its powers of that parity, divided by the highest of them, and what they were divided by."""
    chosen = [(power, value) for power, value in enumerate(polynomial) if value and power % 2 == parity][::-1]
    highest = chosen[0][1]
    return tuple((power, float(value / highest)) for power, value in chosen), highest
