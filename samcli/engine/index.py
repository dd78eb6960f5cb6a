"""An index of a folder of sound on disk, so that ten thousand files can be searched without hearing them again.

One SQLite file holds, for every ten seconds of every recording, the tag scores, a caption and an embedding. Bringing it
up to date hears only what is new or changed, forgets what is gone, and may be killed at any moment: files are entered
in transactions, each file whole or not at all. An index belongs to one model; another model's is refused, not mixed in.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.engine.find import Input
from samcli.engine.hearing import Wave, hear
from samcli.engine.pieces import Cut, cut
from samcli.engine.sources import open_input
from samcli.errors import InputError, UsageError
from samcli.models.interface import SoundModel

NAME = ".sam-index.sqlite"
VERSION = "1"
LOT_WINDOWS = 64  # heard and entered together
SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, changed INTEGER NOT NULL,
    duration REAL NOT NULL, problem TEXT
);
CREATE TABLE IF NOT EXISTS windows (
    file INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, start REAL NOT NULL, finish REAL NOT NULL,
    caption TEXT NOT NULL, tags BLOB NOT NULL, embedding BLOB
);
CREATE INDEX IF NOT EXISTS windows_by_file ON windows (file);
"""

Tags = NDArray[np.float32]


class Window(NamedTuple):
    """Some seconds of a recording, as the index knows them."""

    path: str
    start: float  # seconds
    end: float
    caption: str


@dataclass
class Changes:
    """What bringing an index up to date did."""

    heard: int = 0  # files
    kept: int = 0
    forgotten: int = 0
    failed: int = 0


class Index:
    """An open index; a context manager. `labels` are those of the model it belongs to."""

    def __init__(self, path: str | os.PathLike[str], model: SoundModel | None = None) -> None:
        """Open or, with a model, make the index at `path`."""
        place = Path(path)
        if model is None and not place.is_file():
            raise UsageError(f"There is no index at {os.fspath(path)!r}. Make one: sam index FOLDER")
        try:
            self._base = sqlite3.connect(place, isolation_level=None)
            self._base.execute("PRAGMA foreign_keys = ON")
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{os.fspath(path)!r} is no index of sam: {error}.") from error
        about = dict(self._base.execute("SELECT key, value FROM about"))
        if not about and model is not None:
            about = {"version": VERSION, "model": _identity(model), "labels": "\n".join(model.labels)}
            self._base.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        if about.get("version") != VERSION:
            raise UsageError(f"{os.fspath(path)!r} was made by another version of sam. Remove it and index again.")
        if model is not None and about["model"] != _identity(model):
            raise UsageError(
                f"The index at {os.fspath(path)!r} belongs to {about['model']}, not {_identity(model)}. "
                "Remove it, or name another with --index."
            )
        self.model = about["model"]
        self.labels = tuple(about["labels"].split("\n")) if about["labels"] else ()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._base.close()

    def __len__(self) -> int:
        """Windows."""
        return int(self._base.execute("SELECT count(*) FROM windows").fetchone()[0])

    def update(
        self,
        inputs: Iterable[Input],
        model: SoundModel,
        progress: Callable[[int], None] | None = None,
        forget: bool = True,
    ) -> Changes:
        """Hear what is new or changed among the inputs; with `forget` drop every other file of the index."""
        changes = Changes()
        known = {row[1]: row for row in self._base.execute("SELECT id, path, size, changed FROM files")}
        lot = _Lot(model)
        for item in inputs:
            place = os.fsencode(os.path.abspath(item.path))  # noqa: PTH100  # bytes: names need not be UTF-8
            entry = known.pop(place, None)
            try:
                status = os.stat(place)  # noqa: PTH116
            except OSError:
                changes.failed += 1
                if entry is not None:
                    self._base.execute("DELETE FROM files WHERE id = ?", (entry[0],))
                continue
            if entry is not None and (status.st_size, status.st_mtime_ns) == entry[2:]:
                changes.kept += 1
            else:
                file = _File(place, status.st_size, status.st_mtime_ns)
                lot.take(item, file)
                changes.heard += file.problem is None
                changes.failed += file.problem is not None
                self._enter(lot.finished())
            if progress is not None:
                progress(changes.heard + changes.kept + changes.failed)
        lot.hear()
        self._enter(lot.finished())
        if forget:
            changes.forgotten = len(known)
            self._base.executemany("DELETE FROM files WHERE id = ?", [(row[0],) for row in known.values()])
        return changes

    def windows(self) -> list[Window]:
        """All windows, in the order of `tags` and `embeddings`."""
        rows = self._base.execute(
            "SELECT path, start, finish, caption FROM windows JOIN files ON files.id = file ORDER BY windows.rowid"
        )
        return [Window(os.fsdecode(path), start, end, caption) for path, start, end, caption in rows]

    def tags(self) -> Tags:
        """Probabilities (windows, labels)."""
        stored = b"".join(row[0] for row in self._base.execute("SELECT tags FROM windows ORDER BY rowid"))
        roots = np.frombuffer(stored, np.uint8).reshape(len(self), -1)
        return np.square(roots.astype(np.float32) / 255)

    def embeddings(self) -> Tags:
        """(windows, width); of length 1, zero for silence."""
        stored = [row[0] for row in self._base.execute("SELECT embedding FROM windows ORDER BY rowid")]
        found = np.zeros((len(stored), max((len(one) // 2 for one in stored if one), default=0)), np.float32)
        for row, one in enumerate(stored):
            if one:
                found[row] = np.frombuffer(one, np.float16)
        return found

    def problems(self) -> dict[str, str]:
        """Files that could not be heard, with the reason."""
        rows = self._base.execute("SELECT path, problem FROM files WHERE problem IS NOT NULL ORDER BY path")
        return {os.fsdecode(path): problem for path, problem in rows}

    def _enter(self, files: Sequence[_File]) -> None:
        """All of these, or none."""
        if not files:
            return
        with closing(self._base.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                for file in files:
                    cursor.execute("DELETE FROM files WHERE path = ?", (file.path,))
                    cursor.execute(
                        "INSERT INTO files (path, size, changed, duration, problem) VALUES (?, ?, ?, ?, ?)",
                        (file.path, file.size, file.changed, file.duration, file.problem),
                    )
                    rows = [(cursor.lastrowid, *row) for row in file.rows]
                    cursor.executemany("INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?)", rows)
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise


@dataclass(eq=False)
class _File:
    """One file under way into the index."""

    path: bytes
    size: int
    changed: int  # nanoseconds
    duration: float = 0.0
    problem: str | None = None
    rows: list[tuple[float, float, str, bytes, bytes | None]] = field(default_factory=list)


class _Lot:
    """Windows of several files that are heard together; a file leaves it when all its windows are."""

    def __init__(self, model: SoundModel) -> None:
        self.model = model
        self._waiting: list[tuple[_File, float, Wave]] = []
        self._read: list[_File] = []

    def take(self, item: Input, file: _File) -> None:
        """Read a file, hearing as soon as enough windows have come together."""
        try:
            for start, wave in read_windows(item, self.model):
                self._waiting.append((file, start, wave))
                file.duration = start + len(wave) / self.model.sample_rate
                if len(self._waiting) >= LOT_WINDOWS:
                    self.hear()
        except InputError as error:
            file.problem = str(error)
            file.rows.clear()
            self._waiting = [entry for entry in self._waiting if entry[0] is not file]
        self._read.append(file)

    def hear(self) -> None:
        prompts = [("",) if "caption" in self.model.tasks else ()] * len(self._waiting)
        for (file, start, wave), one in zip(
            self._waiting, hear(self.model, [wave for *_, wave in self._waiting], prompts), strict=True
        ):
            tags = np.zeros(len(self.model.labels), np.float32) if one.tags is None else one.tags
            roots = np.round(np.sqrt(tags) * 255).astype(np.uint8).tobytes()
            end = start + len(wave) / self.model.sample_rate
            file.rows.append((start, end, "".join(one.texts), roots, _packed(one.embedding)))
        self._waiting.clear()

    def finished(self) -> list[_File]:
        """Files that were read and heard to their end since the last call."""
        waiting = {id(file) for file, *_ in self._waiting}
        done = [file for file in self._read if id(file) not in waiting]
        self._read = [file for file in self._read if id(file) in waiting]
        return done


def read_windows(item: Input, model: SoundModel) -> Iterator[tuple[float, Wave]]:
    """Windows of a recording with their starts in seconds."""
    how = Cut(model.sample_rate, model.window_seconds, step_seconds=model.step_seconds)
    with open_input(item, model.sample_rate) as reader:
        for piece in cut(reader, how):
            yield piece.start / model.sample_rate, piece.wave


def _packed(embedding: Tags | None) -> bytes | None:
    if embedding is None:
        return None
    return np.asarray(embedding / max(1e-9, float(np.linalg.norm(embedding))), np.float16).tobytes()


def _identity(model: SoundModel) -> str:
    return f"{model.name}@{model.revision}"
