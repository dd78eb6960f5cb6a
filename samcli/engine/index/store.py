"""An index of a folder of sound on disk, so that ten thousand files can be searched without hearing them again.

One SQLite file holds, for every ten seconds of every recording, the tag scores, a caption and an embedding. Bringing it
up to date hears only what is new or changed, forgets what is gone, and may be killed at any moment: files are entered
in transactions, each file whole or not at all. An index belongs to one model; another model's is refused, not mixed in.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.engine.index.file import damaged, in_time, open_to_read, open_to_write
from samcli.engine.index.task import File, IndexTask
from samcli.engine.inputs.find import Input
from samcli.engine.run import gathered
from samcli.errors import OutputError, UsageError, reason_of
from samcli.models.interface import SoundModel
from samcli.writers.files import explain

NAME = ".sam-index.sqlite"
VERSION = "1"

ROOM, MOST_GROWTH = 1 << 26, 16  # bytes that reading may take, and so many for each that is stored

Tags = NDArray[np.float32]


class Contents(NamedTuple):
    """All that an index holds, as it was at one moment, row for row."""

    windows: list[Window]
    tags: Tags  # (windows, labels): probabilities
    embeddings: Tags  # (windows, width): of length 1, zero for silence


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
    problems: list[tuple[str, str]] = field(default_factory=list)  # of every input that is not in it: name, reason

    def fail(self, item: Input, reason: str) -> None:
        self.failed += 1
        self.problems.append((item.display, reason))


class Index:
    """An open index; a context manager. `labels` are those of the model it belongs to."""

    def __init__(
        self, path: str | os.PathLike[str], model: SoundModel | None = None, *, look: bool = False, named: bool = False
    ) -> None:
        """Open the index at `path`; with a model, and unless only to `look`, make it if there is none.

        A path that the user `named` may lead through a link to the file that is written; one that sam chose may not.
        """
        place = self._place = Path(path)
        self.path = os.fspath(path)
        look = self._looking = look or model is None
        if look and not place.is_file():
            raise UsageError(f"There is no index at {self.path!r}. Make one: sam index FOLDER")
        try:
            with self._reading():
                self._base = open_to_read(place) if look else open_to_write(place, named=named)
        except OSError as error:
            raise explain(place, error) from error
        try:
            with self._reading():
                if model is not None and not look:
                    self._begin(model)
                self.model, self.labels = self._about()
            if model is not None and self.model != _identity(model):
                raise UsageError(
                    f"The index at {self.path!r} belongs to {self.model}, not {_identity(model)}. "
                    "Remove it, or name another with --index."
                )
        except BaseException:
            self.close()
            raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What SQLite says against the file becomes a sentence."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if self._looking:
                raise UsageError(f"The index {self.path!r} cannot be opened: {error}.") from error
            raise OutputError(f"Cannot write {self.path!r}: {error}.") from error
        except sqlite3.Error as error:
            raise UsageError(f"{self.path!r} is no index of sam: {error}.") from error

    def _about(self) -> tuple[str, tuple[str, ...]]:
        """Whose it is, and the labels of that model."""
        about = dict(self._base.execute("SELECT key, value FROM about LIMIT 100"))
        if about.get("version") != VERSION:
            raise UsageError(f"{self.path!r} was made by another version of sam. Remove it and index again.")
        model, labels = about.get("model"), about.get("labels")
        if not isinstance(model, str) or not isinstance(labels, str):
            raise damaged(self._place, "it does not say whose it is")
        return model, tuple(labels.split("\n")) if labels else ()

    def _begin(self, model: SoundModel) -> None:
        """Say whose index this is, unless that was said before; another run may be saying it now."""
        facts = {"version": VERSION, "model": _identity(model), "labels": "\n".join(model.labels)}
        self._base.execute("BEGIN IMMEDIATE")
        if not self._base.execute("SELECT count(*) FROM about").fetchone()[0]:
            self._base.executemany("INSERT INTO about VALUES (?, ?)", facts.items())
        self._base.execute("COMMIT")

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave one file behind, which can be read from any disk; while it is written two more lie beside it."""
        if not self._looking:
            with suppress(sqlite3.OperationalError):  # somebody else has it open: the last one to close tidies up
                self._base.execute("PRAGMA journal_mode = DELETE")
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
        known = {row[1]: row for row in self._files()}
        fresh: list[tuple[Input, File]] = []
        for item in inputs:
            place = os.fsencode(os.path.abspath(item.path))  # noqa: PTH100  # bytes: names need not be UTF-8
            entry = known.pop(place, None)
            try:
                status = os.stat(place)  # noqa: PTH116
            except OSError as error:
                changes.fail(item, f"{item.display!r} cannot be read: {reason_of(error)}.")
                self._drop([entry] if entry is not None else [])
                continue
            if entry is None or (status.st_size, status.st_mtime_ns) != entry[2:4]:
                fresh.append((item, File(place, status.st_size, status.st_mtime_ns)))
            else:
                changes.kept += 1
                changes.problems += [(item.display, entry[4])] if entry[4] is not None else []
        for _ in self._hear(fresh, model, changes):
            if progress is not None:
                progress(changes.heard + changes.kept + changes.failed)
        if forget:
            changes.forgotten = len(known)
            self._drop(list(known.values()))
        return changes

    def _hear(self, fresh: Sequence[tuple[Input, File]], model: SoundModel, changes: Changes) -> Iterator[None]:
        """Each is entered as soon as it is heard."""
        for done in gathered(IndexTask.of(model), [item for item, _ in fresh], model):
            item, file = fresh[done.job.index]
            if done.error is not None:
                file.problem = str(done.error)
                changes.fail(item, file.problem)
            else:
                file.rows, changes.heard = done.records, changes.heard + 1
            self._enter(file)
            yield

    def changed(self, inputs: Iterable[Input]) -> int:
        """How many of the inputs are not in the index as they are now."""
        known = {path: (size, changed) for _, path, size, changed, _ in self._files()}
        count = 0
        for item in inputs:
            place = os.fsencode(os.path.abspath(item.path))  # noqa: PTH100
            try:
                status = os.stat(place)  # noqa: PTH116
            except OSError:
                continue
            count += known.get(place) != (status.st_size, status.st_mtime_ns)
        return count

    def _files(self) -> list[tuple[int, bytes, int, int, str | None]]:
        with self._reading(), in_time(self._base, self._place):
            rows = self._base.execute("SELECT id, path, size, changed, problem FROM files").fetchall()
        for row in rows:
            if [type(value) for value in row[:4]] != [int, bytes, int, int] or not isinstance(row[4], str | None):
                raise damaged(self._place, "it lists something that is no file")
        return rows

    def contents(self) -> Contents:
        """Everything in it, of one moment: another process may be entering files."""
        query = (
            "SELECT path, start, finish, caption, tags, embedding "
            "FROM windows JOIN files ON files.id = file ORDER BY windows.rowid"
        )
        with self._reading(), in_time(self._base, self._place):
            rows = self._base.execute(query).fetchall()
        try:
            return unpacked(rows, len(self.labels))
        except (ValueError, TypeError) as error:
            raise damaged(self._place, "a window in it does not read as one") from error

    def _enter(self, file: File) -> None:
        with self._writing() as cursor:
            cursor.execute("DELETE FROM files WHERE path = ?", (file.path,))
            cursor.execute(
                "INSERT INTO files (path, size, changed, duration, problem) VALUES (?, ?, ?, ?, ?)",
                (file.path, file.size, file.changed, file.duration, file.problem),
            )
            rows = [(cursor.lastrowid, *row) for row in file.rows]
            cursor.executemany("INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _drop(self, entries: Sequence[tuple[Any, ...]]) -> None:
        if entries:
            with self._writing() as cursor:
                cursor.executemany("DELETE FROM files WHERE id = ?", [(entry[0],) for entry in entries])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        """A transaction: whole, or nothing of it."""
        try:
            with closing(self._base.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    yield cursor
                    cursor.execute("COMMIT")
                except BaseException:
                    if self._base.in_transaction:  # a full disk has ended it already
                        cursor.execute("ROLLBACK")
                    raise
        except sqlite3.OperationalError as error:
            raise OutputError(f"Cannot write {self.path!r}: {error}.") from error


def unpacked(rows: Sequence[tuple[Any, ...]], labels: int) -> Contents:
    """The rows of an index as arrays; ValueError or TypeError of what no index of ours has."""
    windows = [
        Window(os.fsdecode(path), float(start), float(end), "".join(caption)) for path, start, end, caption, *_ in rows
    ]
    times = np.array([(window.start, window.end) for window in windows]).reshape(-1, 2)
    roots = np.frombuffer(b"".join(row[4] for row in rows), np.uint8).reshape(len(rows), labels)
    width = max((len(row[5]) // 2 for row in rows if row[5]), default=0)
    stored = sum(len(row[4]) + len(row[5] or b"") for row in rows)
    if 4 * width * len(rows) > ROOM + MOST_GROWTH * stored:
        raise ValueError("one wide embedding among many that are silent would fill the memory")
    embeddings = np.zeros((len(rows), width), np.float32)
    for place, row in enumerate(rows):
        if row[5]:
            embeddings[place] = np.frombuffer(row[5], np.float16)
    if any(len(row[4]) != labels for row in rows) or not np.isfinite(times).all() or not np.isfinite(embeddings).all():
        raise ValueError("a number that is none")
    return Contents(windows, np.square(roots.astype(np.float32) / 255), embeddings)


def _identity(model: SoundModel) -> str:
    return f"{model.name}@{model.revision}"
