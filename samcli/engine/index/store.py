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
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.engine.index.lot import File, Lot
from samcli.engine.inputs.find import Input
from samcli.errors import OutputError, UsageError
from samcli.models.interface import SoundModel

NAME = ".sam-index.sqlite"
VERSION = "1"
BUSY_SECONDS = 60.0  # to wait for another run that is entering files
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


class Index:
    """An open index; a context manager. `labels` are those of the model it belongs to."""

    def __init__(self, path: str | os.PathLike[str], model: SoundModel | None = None, *, look: bool = False) -> None:
        """Open the index at `path`; with a model, and unless only to `look`, make it if there is none."""
        place = Path(path)
        self.path = os.fspath(path)
        look = self._looking = look or model is None
        if look and not place.is_file():
            raise UsageError(f"There is no index at {self.path!r}. Make one: sam index FOLDER")
        try:
            self._base = _looked_at(place) if look else _opened(place)
            if model is not None and not look:
                self._begin(model)
            about = dict(self._base.execute("SELECT key, value FROM about"))
        except sqlite3.OperationalError as error:
            if look or place.is_file():
                raise UsageError(f"The index {self.path!r} cannot be opened: {error}.") from error
            raise OutputError(f"Cannot write {self.path!r}: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{self.path!r} is no index of sam: {error}.") from error
        if about.get("version") != VERSION:
            raise UsageError(f"{self.path!r} was made by another version of sam. Remove it and index again.")
        if model is not None and about["model"] != _identity(model):
            raise UsageError(
                f"The index at {self.path!r} belongs to {about['model']}, not {_identity(model)}. "
                "Remove it, or name another with --index."
            )
        self.model = about["model"]
        self.labels = tuple(about["labels"].split("\n")) if about["labels"] else ()

    def _begin(self, model: SoundModel) -> None:
        """Say whose index this is, unless that was said before; another run may be saying it now."""
        facts = {"version": VERSION, "model": _identity(model), "labels": "\n".join(model.labels)}
        self._base.execute("BEGIN IMMEDIATE")
        if not self._base.execute("SELECT count(*) FROM about").fetchone()[0]:
            self._base.executemany("INSERT INTO about VALUES (?, ?)", facts.items())
        self._base.execute("COMMIT")

    def __enter__(self) -> Index:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
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
        known = {row[1]: row for row in self._base.execute("SELECT id, path, size, changed, problem FROM files")}
        lot = Lot(model)
        for item in inputs:
            place = os.fsencode(os.path.abspath(item.path))  # noqa: PTH100  # bytes: names need not be UTF-8
            entry = known.pop(place, None)
            try:
                status = os.stat(place)  # noqa: PTH116
            except OSError as error:
                changes.failed += 1
                reason = (error.strerror or "unknown cause").lower()
                changes.problems.append((item.display, f"{item.display!r} cannot be read: {reason}."))
                self._drop([entry] if entry is not None else [])
                continue
            if entry is not None and (status.st_size, status.st_mtime_ns) == entry[2:4]:
                changes.kept += 1
                if entry[4] is not None:
                    changes.problems.append((item.display, entry[4]))
            else:
                file = File(place, status.st_size, status.st_mtime_ns)
                lot.take(item, file)
                changes.heard += file.problem is None
                if file.problem is not None:
                    changes.failed += 1
                    changes.problems.append((item.display, file.problem))
                self._enter(lot.finished())
            if progress is not None:
                progress(changes.heard + changes.kept + changes.failed)
        lot.hear()
        self._enter(lot.finished())
        if forget:
            changes.forgotten = len(known)
            self._drop(list(known.values()))
        return changes

    def changed(self, inputs: Iterable[Input]) -> int:
        """How many of the inputs are not in the index as they are now."""
        rows = self._base.execute("SELECT path, size, changed FROM files")
        known = {path: (size, changed) for path, size, changed in rows}
        count = 0
        for item in inputs:
            place = os.fsencode(os.path.abspath(item.path))  # noqa: PTH100
            try:
                status = os.stat(place)  # noqa: PTH116
            except OSError:
                continue
            count += known.get(place) != (status.st_size, status.st_mtime_ns)
        return count

    def contents(self) -> Contents:
        """Everything in it, of one moment: another process may be entering files."""
        self._base.execute("BEGIN")
        try:
            return Contents(self.windows(), self.tags(), self.embeddings())
        finally:
            self._base.execute("COMMIT")

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

    def _enter(self, files: Sequence[File]) -> None:
        """All of these, or none."""
        if not files:
            return
        with self._writing() as cursor:
            for file in files:
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


def _opened(place: Path) -> sqlite3.Connection:
    """To read and write; made if it is not there."""
    base = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None)
    base.execute("PRAGMA foreign_keys = ON")
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last transactions, never the file
    base.executescript(SCHEMA)
    return base


def _looked_at(place: Path) -> sqlite3.Connection:
    """To read only, also from a disk that cannot be written to."""
    where = place.absolute().as_uri()
    base = sqlite3.connect(f"{where}?mode=ro", timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    try:
        base.execute("SELECT 1 FROM about")
    except sqlite3.OperationalError:
        # Beside a file in WAL mode SQLite wants to write; where nobody can, nobody else does either.
        base.close()
        base = sqlite3.connect(f"{where}?immutable=1", isolation_level=None, uri=True)
    return base


def _identity(model: SoundModel) -> str:
    return f"{model.name}@{model.revision}"
