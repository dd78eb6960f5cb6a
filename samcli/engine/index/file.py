"""The SQLite file of an index, opened so that a stranger's does no harm.

SQLite runs what a schema says: views without end, triggers, computed columns. So a file is looked at before anything
else is asked of it: it must have our tables, word for word, and no others, or none at all. Whatever is read is given a
time by which it must be done. To write, the file must be ours, and so must those that SQLite keeps beside it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from samcli.errors import UsageError
from samcli.writers.disk import Folder, StrangeFileError

BUSY_SECONDS = 60.0  # to wait for another run that is entering files
PATIENCE = 30.0  # seconds for anything that is read,
SLOWEST = 4e6  # and one more for so many bytes of the file
LONGEST_VALUE = 1 << 24  # bytes; the longest of ours is a list of labels
STEPS = 10_000  # of SQLite's machine between two looks at the clock
BESIDE = ("-journal", "-wal", "-shm")
# At the end of a rollback journal it says that the name of another file comes before, which SQLite would delete.
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
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


def open_to_write(place: Path, *, named: bool = False) -> sqlite3.Connection:
    """To read and write; made if it is not there. One that the user `named` may be a link, or another user's."""
    place = place.resolve() if named else place
    with Folder.of(place) as folder:
        if folder.status(place.name) is None:
            os.close(folder.open(place.name, os.O_RDWR | os.O_CREAT))
        # Looked at by name: to open and close it would lift the locks that SQLite holds in this process.
        folder.check(place.name, writing=True, anybodys=named)
        _check_beside(folder, place.name, writing=True)
        seen = folder.status(place.name)
        base = _connect(place, "mode=rw")
        try:
            _check_opened(base, folder, place, seen)
            _check_schema(base, place)
            base.execute("PRAGMA foreign_keys = ON")
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last transactions, never the file
            base.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
        except BaseException:
            base.close()
            raise
    return base


def open_to_read(place: Path) -> sqlite3.Connection:
    """To read only, also from a disk that cannot be written to."""
    with Folder.of(place.resolve()) as folder:
        _check_beside(folder, place.resolve().name, writing=False)
    base = _connect(place, "mode=ro")
    try:
        try:
            base.execute("SELECT 1 FROM sqlite_master")
        except sqlite3.OperationalError:
            # Beside a file in WAL mode SQLite wants to write; where nobody can, nobody else does either.
            base.close()
            base = _connect(place, "immutable=1")
        _check_schema(base, place)
    except BaseException:
        base.close()
        raise
    return base


def _connect(place: Path, how: str) -> sqlite3.Connection:
    where = f"{place.absolute().as_uri()}?{how}"
    base = sqlite3.connect(where, timeout=BUSY_SECONDS, isolation_level=None, uri=True)
    base.text_factory = _text
    if hasattr(base, "setlimit"):  # since Python 3.11
        base.setlimit(getattr(sqlite3, "SQLITE_LIMIT_LENGTH"), LONGEST_VALUE)  # noqa: B009 (not in 3.10's stubs)
    for setting in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        base.execute(f"PRAGMA {setting}")
    return base


def _check_beside(folder: Folder, name: str, *, writing: bool) -> None:
    """What SQLite would open unasked is ours too."""
    for suffix in BESIDE:
        if folder.status(name + suffix) is not None:
            folder.check(name + suffix, writing=True, anybodys=not writing)  # SQLite writes to them even to read
    if writing and folder.status(name + BESIDE[0]) is not None:
        with os.fdopen(folder.open(name + BESIDE[0], os.O_RDONLY), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(JOURNAL_MAGIC)))
            if file.read() == JOURNAL_MAGIC:
                path = os.fspath(folder.path / (name + BESIDE[0]))
                raise StrangeFileError(0, "it would have another file deleted, which sam's never do", path)


def _check_opened(base: sqlite3.Connection, folder: Folder, place: Path, seen: os.stat_result | None) -> None:
    """SQLite opens by name alone, so see that it came where we looked: it tells where links have led it."""
    base.text_factory = bytes
    opened = Path(os.fsdecode(base.execute("PRAGMA database_list").fetchone()[2]))
    base.text_factory = _text
    now = folder.status(place.name)
    same = seen is not None and now is not None and os.path.samestat(seen, now)
    if not same or opened.name != place.name or not opened.parent.samefile(place.parent):
        raise StrangeFileError(0, "it was exchanged for another just now", os.fspath(place))


def _check_schema(base: sqlite3.Connection, place: Path) -> None:
    """Our tables or none, and consistent pages: then every query of them ends."""
    with closing(sqlite3.connect(":memory:")) as model, in_time(base, place):
        model.executescript(SCHEMA)
        found = _schema(base)
        if found and found != _schema(model):
            raise UsageError(f"{os.fspath(place)!r} is no index of sam: it has other tables.")
        problem = base.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise damaged(place, "its pages are inconsistent")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _schema(base: sqlite3.Connection) -> set[tuple[str, ...]]:
    rows = base.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100")
    return {tuple(" ".join(str(value).split()) for value in row) for row in rows}


def damaged(place: Path, why: str) -> UsageError:
    return UsageError(f"The index {os.fspath(place)!r} is damaged: {why}. Remove it and index again.")


@contextmanager
def in_time(base: sqlite3.Connection, place: Path) -> Iterator[None]:
    """Whatever is asked of the file in here is given up after a while, and every failure of SQLite is a sentence."""
    end = time.monotonic() + PATIENCE + place.stat().st_size / SLOWEST
    base.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        yield
    except sqlite3.OperationalError as error:
        if time.monotonic() > end:
            raise damaged(place, "reading it takes too long") from error
        raise
    finally:
        base.set_progress_handler(None, 0)
