"""From the authors' tensor names to ours, and from tensors' shapes to sizes; no tensor is touched.

A name the model has no use for becomes "" (drop it); a name nobody knows stays itself, so that strict loading reports
it as unexpected. Shapes decide wherever they can: a repository's name or json may be wrong, the tensors will be run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from samcli.errors import ModelError

Rules = tuple[tuple[str, str], ...]  # (pattern, replacement), applied one after the other
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layout:
    """How the authors of a model name its tensors."""

    sign: str  # a pattern that one of the names has, and no other layout's
    rules: Rules
    dropped: str = r"(?!)"

    def recognises(self, names: Iterable[str]) -> bool:
        return any(re.search(self.sign, name) for name in names)

    def rename(self, names: Iterable[str]) -> dict[str, str]:
        """Our name for each name in a file."""
        compiled = [(re.compile(pattern), replacement) for pattern, replacement in self.rules]
        renamed: dict[str, str] = {}
        for key in names:
            name = key
            for pattern, replacement in compiled:
                name = pattern.sub(replacement, name)
            renamed[key] = "" if re.search(self.dropped, key) else name
        return renamed


def same_numbers(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a reshape keeps every number in place: equal once axes of size 1 are dropped and leading axes merged.

    1x1 convolutions are stored as matrices or with two trailing ones, the four scans of DASS stacked or end to end.
    """
    found, wanted = (tuple(size for size in shape if size != 1) for shape in (found, wanted))
    shorter, longer = sorted((found, wanted), key=len)
    if not shorter or shorter == longer:
        return shorter == longer
    extra = len(longer) - len(shorter)
    merged = 1
    for size in longer[: extra + 1]:
        merged *= size
    return (merged, *longer[extra + 1 :]) == shorter


def shape_of(shapes: Shapes, name: str, kind: str, least: int = 1) -> tuple[int, ...]:
    """The shape of a tensor that a model of this kind must have, with at least so many axes."""
    if name not in shapes or len(shapes[name]) < least:
        raise ModelError(f"These weights look like {kind} but lack the tensor {name}.")
    return shapes[name]


def count_layers(shapes: Shapes, pattern: str) -> int:
    """How many different numbers follow the pattern's prefix: layers, blocks, stages.

    A gap in the numbers gives fewer layers than the highest asks for, and strict loading then names the strangers.
    """
    return len({match[1] for name in shapes if (match := re.match(pattern + r"(\d{1,4})\.", name))})


def count_classes(shapes: Shapes) -> int:
    return shapes["head.weight"][0] if shapes.get("head.weight") else 0


def hub_labels(hub: Mapping[str, Any]) -> tuple[str, ...]:
    """The label names of a Hub config's id2label, in order; empty when it has none."""
    names = hub.get("id2label")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        return ()
    try:
        return tuple(names[key] for key in sorted(names, key=int))
    except ValueError:
        return ()
