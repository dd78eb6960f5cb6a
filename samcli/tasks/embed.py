"""Embeddings: one vector for each recording or window, for people's own clustering and plots.

A vector is the mean of the encoder's features over the time it stands for, at length 1; silence is the zero vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from samcli.engine.inputs.find import Input
from samcli.engine.run import gathered
from samcli.engine.task import Heard, Task, Window
from samcli.models.interface import SoundModel

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


@dataclass(frozen=True)
class EmbedTask(Task):
    """A vector for each segment."""

    each_window: bool = False
    wants_features: bool = True
    name: str = "embed"

    def gatherer(self) -> EmbedGatherer:
        return EmbedGatherer()


class EmbedGatherer:
    """The sum of the windows' vectors, each as heavy as it is long."""

    def __init__(self) -> None:
        self.windows, self.start, self.end = 0, 0.0, 0.0
        self.total = np.zeros(0, np.float32)  # (width,), empty until a window is heard that is not silent

    def add(self, window: Window) -> None:
        self.start = window.start if not self.windows else self.start
        self.windows, self.end = self.windows + 1, window.end
        if window.features is not None:
            here = unit(window.features) * np.float32(window.end - window.start)
            self.total = here if not self.total.size else self.total + here

    def records(self, heard: Heard, text: str | None) -> list[Vector]:
        return [Vector(heard.path, self.start, self.end, unit(self.total))]


def embed(inputs: Iterable[Input], model: SoundModel, windows: bool = False) -> Iterator[Vector]:
    """One vector for each recording or, with `windows`, for each window; in the order of the inputs."""
    width, silent = 0, list[Vector]()
    for done in gathered(EmbedTask(each_window=windows), inputs, model):
        if done.error is not None:
            path = done.job.item.display
            silent.append(Vector(path, 0.0, 0.0, np.zeros(0, np.float32), str(done.error), done.error.kind))
        else:
            silent.extend(done.records)
        width = width or max(len(one.values) for one in silent)
        if width:  # until then nobody knows how long the vector of silence is
            yield from (_as_wide(one, width) for one in silent)
            silent.clear()
    yield from silent


def _as_wide(one: Vector, width: int) -> Vector:
    silent = not one.problem and not len(one.values)
    return replace(one, values=np.zeros(width, np.float32)) if silent else one


def unit(values: Floats) -> Floats:
    """At length 1, or all zero."""
    length = float(np.linalg.norm(values))
    return np.asarray(values / length if length else values, np.float32)
