"""config.json is the frozen dataclass: every field, nothing else, and the `model_type` that says which dataclass.

Reading is strict both ways: an unknown key, a missing one or a value of another type is a sentence with the key in
it, so that a config from a newer version is never half understood.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

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
