"""Building a module for its names and shapes, before any memory is given to what a file claims.

Everything of more than a few elements is made on the meta device, whatever the config asks for; parameters get no first
values. Small tensors are real, so constants that are no part of a checkpoint keep their values. (A plain meta device
would do, but torch imports its compiler, a second or more, for the first arithmetic on it.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

REAL_ELEMENTS = 16_384  # up to here a tensor is made for good
SIZED = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.arange})
# Functions of which only the shape matters here: that of their arguments, broadcast.
ELEMENTWISE = frozenset(
    {"normal_", "uniform_", "neg", "exp", "expm1", "log", "log1p", "sin", "cos", "sqrt", "clamp", "float", "to"}
    | {"add", "sub", "mul", "div", "pow", "true_divide", "floor_divide", "remainder", "rsub"}
    | {"add_", "sub_", "mul_", "div_", "__idiv__", "__itruediv__", "__iadd__", "__isub__", "__imul__"}
    | {f"__{way}{name}__" for way in ("", "r") for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")}
)


class Blueprint(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func in SIZED:
            asked = _asked(func, args, kwargs)
            large = math.prod(asked) > REAL_ELEMENTS
            return _outline(asked, kwargs.get("dtype")) if large else func(*args, **kwargs)
        tensors = [item for item in args if isinstance(item, Tensor)]
        shape = _result(getattr(func, "__name__", ""), tensors, args, kwargs)
        if shape is None or (math.prod(shape) <= REAL_ELEMENTS and not any(tensor.is_meta for tensor in tensors)):
            return func(*args, **kwargs)
        same = tensors[0].is_meta and tensors[0].shape == shape  # in place, or as good as
        return tensors[0] if same else _outline(shape, tensors[0].dtype)


def _outline(shape: Sequence[int], dtype: torch.dtype | None) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _asked(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[int, ...]:
    """The shape that a factory is asked for."""
    if func is torch.arange:
        return (int(max((abs(float(item)) for item in args), default=0)),)
    size = kwargs.get("size", args[0] if args and isinstance(args[0], list | tuple) else args)
    return tuple(item for item in size if isinstance(item, int))


def _result(name: str, tensors: list[Tensor], args: Any, kwargs: dict[str, Any]) -> tuple[int, ...] | None:
    """The shape that a function will return, for those that are known here."""
    if name == "cat":
        tensors += args[0]
        shape, axis = list(tensors[0].shape), kwargs.get("dim", args[1] if len(args) > 1 else 0)
        shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
        return tuple(shape)
    if not tensors:
        return None
    if name == "repeat":
        times = args[1] if isinstance(args[1], list | tuple) else args[1:]
        shape = list(_broadcast([tensors[0].shape, (1,) * len(times)]))
        return tuple(size * time for size, time in zip(shape, times, strict=True))
    return _broadcast([tensor.shape for tensor in tensors]) if name in ELEMENTWISE else None


def _broadcast(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The common shape, on trust: shapes that do not fit fail where they are used for good."""
    columns = zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    return tuple(next((size for size in column if size != 1), 1) for column in columns)[::-1]


def blueprint(make: Callable[[Any], nn.Module], config: Any) -> nn.Module:
    """`make(config)`, without memory for its parameters."""
    with Blueprint():
        return make(config).eval()
