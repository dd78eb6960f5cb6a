"""Embeddings: one vector for each recording or window, for people's own clustering and plots.

A vector is the mean of the encoder's features over the time it stands for, at length 1; silence is the zero vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samcli.engine.hearing import Wave, hear
from samcli.engine.index.lot import read_windows
from samcli.engine.inputs.find import Input
from samcli.errors import InputError
from samcli.models.interface import SoundModel

LOT_WINDOWS = 64

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Vector:
    """What one stretch of sound is to the encoder."""

    path: str
    start: float  # seconds
    end: float
    values: Floats  # (width,)
    problem: str = ""  # why there is nothing; then `values` is empty
    kind: str = ""  # of problem, in a word


def embed(inputs: Iterable[Input], model: SoundModel, windows: bool = False) -> Iterator[Vector]:
    """One vector for each recording or, with `windows`, for each window; in the order of the inputs."""
    if windows:
        yield from _windows(inputs, model)
        return
    # A recording's windows follow each other: their sum, weighted by how long they last, is its own.
    held: list[Vector] = []
    for vector in _windows(inputs, model):
        if held and vector.start == 0:  # every recording begins at 0, and so does the report of a failure
            yield _joined(held)
            held = []
        held.append(vector)
    if held:
        yield _joined(held)


def _windows(inputs: Iterable[Input], model: SoundModel) -> Iterator[Vector]:
    lot: list[tuple[str, float, Wave]] = []
    for item in inputs:
        try:
            for start, wave in read_windows(item, model):
                lot.append((item.display, start, wave))
                if len(lot) >= LOT_WINDOWS:
                    yield from _heard(lot, model)
                    lot = []
        except InputError as error:
            lot = [entry for entry in lot if entry[0] != item.display]
            yield from _heard(lot, model)
            lot = []
            yield Vector(item.display, 0.0, 0.0, np.zeros(0, np.float32), str(error), error.kind)
    yield from _heard(lot, model)


def _heard(lot: list[tuple[str, float, Wave]], model: SoundModel) -> Iterator[Vector]:
    found = hear(model, [wave for *_, wave in lot])
    width = next((len(one.embedding) for one in found if one.embedding is not None), 0)
    for (path, start, wave), one in zip(lot, found, strict=True):
        values = np.zeros(width, np.float32) if one.embedding is None else one.embedding
        yield Vector(path, start, start + len(wave) / model.sample_rate, unit(values))


def _joined(parts: list[Vector]) -> Vector:
    if parts[-1].problem or len(parts) == 1:
        return parts[-1]
    width = max(len(part.values) for part in parts)  # a lot of nothing but silence does not know the width
    total = np.zeros(width, np.float32)
    for part in parts:
        total[: len(part.values)] += part.values * np.float32(part.end - part.start)
    return Vector(parts[0].path, parts[0].start, parts[-1].end, unit(total))


def unit(values: Floats) -> Floats:
    """At length 1, or all zero."""
    length = float(np.linalg.norm(values))
    return np.asarray(values / length if length else values, np.float32)
