"""Vectors as files: NumPy's own, JSON Lines, or Parquet. Each appears whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samcli.errors import UsageError
from samcli.writers.escape import json_text
from samcli.writers.files import write_whole

if TYPE_CHECKING:
    from samcli.tasks.embed import Vector

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
