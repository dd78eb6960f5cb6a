"""Embeddings: one vector for each recording or window, for people's own clustering and plots.

A vector is the mean of the encoder's features over the time it stands for, at length 1; silence is the zero vector.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.engine.inputs.find import Input
from samcli.engine.run import gathered
from samcli.engine.task import Heard, Task, Window
from samcli.errors import UsageError
from samcli.models.interface import SoundModel
from samcli.writers.escape import json_text
from samcli.writers.files import write_whole

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


DIGITS = 6  # of a vector's values in text


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix that decides the form; refused when there is none or what it needs is missing."""
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(f"Vectors are written to {', '.join(WRITERS)}, not to {suffix or 'a file without suffix'!r}.")
    if suffix == ".parquet":
        try:
            import_module("pyarrow.parquet")
        except ImportError as error:  # it is not there, or it and NumPy do not fit together
            raise UsageError(
                f"Parquet files need pyarrow: pip install pyarrow ({error}). A .npz or .jsonl file needs nothing."
            ) from None
    return suffix


def save(vectors: Iterable[Vector], path: str | os.PathLike[str]) -> int:
    """Write all vectors to a .npz, .jsonl or .parquet file; returns how many."""
    suffix = check_suffix(path)
    kept = [one for one in vectors if not one.problem]
    write_whole(Path(path), WRITERS[suffix](kept))
    return len(kept)


def json_line(one: Vector) -> str:
    """One vector as strict JSON with its line break; one that failed says why."""
    error = {"type": one.kind, "message": one.problem} if one.problem else None
    entry: dict[str, Any] = {"path": one.path, "start": None, "end": None, "vector": None, "error": error}
    if not one.problem:
        values = [round(float(value), DIGITS) for value in one.values]
        entry |= {"start": round(one.start, DIGITS), "end": round(one.end, DIGITS), "vector": values}
    return json_text(json.dumps(entry, ensure_ascii=False, allow_nan=False)) + "\n"


def _npz(vectors: Sequence[Vector]) -> bytes:
    width = max((len(one.values) for one in vectors), default=0)
    values = np.zeros((len(vectors), width), np.float32)
    for row, one in enumerate(vectors):
        values[row, : len(one.values)] = one.values
    file = io.BytesIO()
    np.savez(
        file,
        paths=np.array([one.path for one in vectors], dtype=str),
        start=np.array([one.start for one in vectors]),
        end=np.array([one.end for one in vectors]),
        vectors=values,
    )
    return file.getvalue()


def _jsonl(vectors: Sequence[Vector]) -> bytes:
    return "".join(map(json_line, vectors)).encode()


def _parquet(vectors: Sequence[Vector]) -> bytes:
    pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    # Parquet's text is UTF-8: bytes of a name that are not are written as JSON writes them, \udcXX.
    names = [one.path.encode("utf-8", "backslashreplace").decode() for one in vectors]
    columns = {
        "path": names,
        "start": [one.start for one in vectors],
        "end": [one.end for one in vectors],
        "vector": pyarrow.array([one.values for one in vectors], type=pyarrow.list_(pyarrow.float32())),
    }
    file = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns), file)
    return bytes(file.getvalue())


WRITERS: dict[str, Callable[[Sequence[Vector]], bytes]] = {".npz": _npz, ".jsonl": _jsonl, ".parquet": _parquet}
