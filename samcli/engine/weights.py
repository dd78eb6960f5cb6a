"""Where a model's weights are and how exact: all that the engine wants to know of them."""

from __future__ import annotations

from typing import Any


def first_weight(model: Any) -> Any | None:
    """Any one parameter of a model, or of the network it wraps; None when it has none."""
    for owner in (model, getattr(model, "network", None)):
        parameters = getattr(owner, "parameters", None)
        weight = next(iter(parameters()), None) if callable(parameters) else None
        if weight is not None:
            return weight
    return None


def dtype_of(model: Any) -> str:
    """The precision of the weights, as text."""
    weight = first_weight(model)
    return str(getattr(model, "dtype", None) if weight is None else weight.dtype)
