"""Matrix products on a CPU, by the library that is quickest at them.

PyTorch sends float32 products to MKL, which on other makers' processors runs at half the rate of oneDNN. Both are
exact float32: the choice changes numbers by rounding only. Gradients always take PyTorch's own path.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.fast import kernels


@functools.cache
def onednn_products() -> bool:
    """Whether oneDNN's float32 products are there, wide enough to be worth it, and right."""
    if not torch._C._has_mkldnn or "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return False
    a, b = torch.linspace(-1, 1, 7 * 33).view(7, 33), torch.linspace(-2, 1, 5 * 33).view(5, 33)
    return kernels.operators_pass(lambda: torch.allclose(_onednn(a, b, None), a @ b.T, rtol=1e-5, atol=1e-5))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., in) times the transpose of weight (out, in), plus bias (out,)."""
    if not kernels.onednn_applies(x, weight):
        return F.linear(x, weight, bias)
    if x.numel() == x.shape[-1] and weight.is_contiguous():
        return one_row(x.reshape(1, -1), parts_of(weight), bias).view(*x.shape[:-1], len(weight))
    return _onednn(x, weight, bias) if onednn_products() else F.linear(x, weight, bias)


def one_row(x: Tensor, parts: Tensor, bias: Tensor | None = None) -> Tensor:
    """(1, in) times the transpose of a weight's `parts_of`, plus bias (out,): (1, out).

    A single row is bound by the reading of the weight. As a batch of products, each with some of the outputs, it runs
    at the rate at which memory can be read; as one product at half of it or less.
    """
    count, _, inputs = parts.shape
    # of all strides, those that have a quick product
    column = x.contiguous().as_strided((count, inputs, 1), (0, 1, inputs))
    y = torch.bmm(parts, column).view(1, -1)
    return y if bias is None else y.add_(bias)


def parts_of(weight: Tensor) -> Tensor:
    """(parts, out / parts, in), at least two for every thread where the outputs can be shared out evenly."""
    outputs, inputs = weight.shape
    parts = math.gcd(outputs, 2 << (torch.get_num_threads() - 1).bit_length())
    return weight.detach().view(parts, outputs // parts, inputs)


def version(weight: Tensor) -> int:
    """Grows with every change in place; inference tensors cannot be changed and do not count."""
    return 0 if weight.is_inference() else weight._version


def unpickled_as_none() -> None:
    """What a copy of a model gets in place of what was prepared for the original."""


class PackedProduct:
    """x times the transpose of one frozen weight, laid out for reading in one stream.

    A product with few rows is bound by memory: packed, the weight arrives at nearly the rate the machine can read,
    unpacked at half of it. The copy is as large as the weight.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()
        self.source, self.version = weight, version(weight)
        self.packed: Tensor | None = None
        self.parts: Tensor | None = None
        if packable(weight):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, PACKED_ROWS)
            if weight.dtype is torch.float32 and weight.is_contiguous():
                self.parts = parts_of(weight)

    def applies(self, weight: Tensor) -> bool:
        """Whether this is still a copy of that weight."""
        return self.source is weight and self.version == version(weight)

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return unpickled_as_none, ()

    def __call__(self, x: Tensor) -> Tensor:
        """(..., in) in the weight's dtype to (..., out)."""
        rows = self.rows(x.reshape(-1, x.shape[-1]))
        return rows.view(*x.shape[:-1], rows.shape[-1])

    def rows(self, x: Tensor) -> Tensor:
        """(rows, in) of float32 or the weight's dtype to (rows, out) of the same."""
        dtype = self.weight.dtype
        if self.packed is None:
            return F.linear(x.to(dtype), self.weight, self.bias).to(x.dtype)
        if len(x) == 1 and self.parts is not None:
            return one_row(x, self.parts, self.bias)
        return _packed(x.to(dtype).contiguous(), self.packed, self.bias).to(x.dtype)


PACKED_ROWS = 512  # rows of x that a packed weight is laid out for; it serves any number


def packable(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or kernels.plain() or not onednn_products():
        return False
    if weight.dtype is torch.bfloat16:
        return multiplies_bfloat16(weight.device)  # or oneDNN refuses
    return weight.dtype is torch.float32


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether it does so itself: a processor that must emulate it takes thirty times as long as in float32."""
    return device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class FastLinear(nn.Linear):
    """nn.Linear on the quickest path; the same parameters under the same names."""

    product: PackedProduct | None = None  # set by `pack` for frozen weights; never saved
    channels = -1  # the axis of x that a layer of this kind works on

    def forward(self, x: Tensor) -> Tensor:
        product = self.product
        if product is not None and not torch.is_grad_enabled() and product.applies(self.weight):
            return product(x)
        return linear(x, self.weight, self.bias)

    def pack(self) -> None:
        if self.product is None or not self.product.applies(self.weight):
            self.product = PackedProduct(self.weight, self.bias)

    def unpack(self) -> None:
        self.product = None


def accelerate(model: nn.Module) -> nn.Module:
    """Put every plain nn.Linear of a model on the quickest path, in place. Weights and names stay as they are."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = FastLinear
    return model


def pack(model: nn.Module) -> None:
    """Lay out every projection of a frozen model for few rows."""
    for module in model.modules():
        if isinstance(module, FastLinear):
            module.pack()


def unpack(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, FastLinear):
            module.unpack()


def signature(model: nn.Module) -> tuple[tuple[int, int], ...]:
    """Changes when any weight is replaced or written to."""
    return tuple((tensor.data_ptr(), version(tensor)) for tensor in chain(model.parameters(), model.buffers()))


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    # strides it does not expect send it down a path a thousand times slower
    return _packed(x.contiguous(), weight.contiguous(), bias)


def _packed(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """For strides that are known to be right, as those of a packed weight are."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
    return y
