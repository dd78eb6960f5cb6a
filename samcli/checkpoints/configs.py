"""config.json is the frozen dataclass: every field, nothing else, and the `model_type` that says which dataclass.

Reading is strict both ways: an unknown key, a missing one or a value of another type is a sentence with the key in
it, so that a config from a newer version is never half understood.
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from samcli.checkpoints.safety import shown
from samcli.errors import ModelError

Config = TypeVar("Config")


def config_to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values: nested dataclasses become objects, tuples become lists."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return config_to_json(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def config_from_json(kind: type[Config], data: dict[str, Any], path: Path) -> Config:
    """The dataclass `kind` from what config_to_json wrote; fields with defaults may be absent in older files."""
    return typing.cast(Config, _dataclass(kind, data, path, ""))


def _dataclass(kind: type[Any], data: Any, path: Path, prefix: str) -> Any:
    if not isinstance(data, dict):
        raise _unfit(path, prefix.rstrip("."), data, kind.__name__)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in data:
        if key not in fields:
            raise ModelError(f"{path} has the key {shown(prefix + key)}, which this version of sam does not know.")
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], path, prefix + name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ModelError(f"{path} lacks the key {shown(prefix + name)}.")
    try:
        return kind(**values)
    except (AssertionError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise ModelError(f"{path} does not describe a model: {error or 'its sizes do not fit together'}.") from None


def _value(hint: Any, value: Any, path: Path, name: str) -> Any:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for choice in choices:
            try:
                return _value(choice, value, path, name)
            except ModelError:
                continue
        if isinstance(value, dict):  # the choice that it is most like says what is wrong with it
            likeness = {kind: len(value.keys() & getattr(kind, "__dataclass_fields__", {}).keys()) for kind in choices}
            return _value(max(choices, key=lambda kind: likeness[kind]), value, path, name)
    elif origin is typing.Literal:
        if value in choices:
            return value
    elif origin in (tuple, list) and isinstance(value, list):
        kinds = choices[:1] * len(value) if origin is list or choices[-1] is Ellipsis else choices
        if len(kinds) == len(value):
            items = [_value(kind, item, path, name) for kind, item in zip(kinds, value, strict=True)]
            return items if origin is list else tuple(items)
    elif origin is dict and isinstance(value, dict):
        return {key: _value(choices[1], item, path, name) for key, item in value.items()}
    elif hint is types.NoneType:
        if value is None:
            return None
    elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _dataclass(hint, value, path, name + ".")
    elif hint is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    elif hint is Any or type(value) is hint:
        return value
    raise _unfit(path, name, value, re.sub(r"\w+\.", "", getattr(hint, "__name__", str(hint))))


def _unfit(path: Path, name: str, value: Any, wanted: str) -> ModelError:
    return ModelError(f"{path} sets {shown(name)} to {shown(value)}, where {wanted} is expected.")


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
    """Builds a module for its names and shapes, before any memory is given to what a file claims.

    Everything of more than a few elements is made on the meta device, whatever the config asks for; parameters get no
    first values. Small tensors are real, so constants that are no part of a checkpoint keep their values. (A plain meta
    device would do, but torch imports its compiler, a second or more, for the first arithmetic on it.)
    """

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
