"""A stranger's index: nothing in it is run, nothing is written through it, and it never takes longer than its size."""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from samcli.checkpoints.tiny import tiny_random
from samcli.engine.index import file as index_file
from samcli.engine.index.file import JOURNAL_MAGIC
from samcli.engine.index.store import NAME, Index
from samcli.errors import OutputError, UsageError
from samcli.models.interface import SoundModel

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
LABELS = 3


@pytest.fixture(scope="module")
def model() -> SoundModel:
    return tiny_random()


@pytest.fixture
def base(tmp_path: Path, model: SoundModel) -> Path:
    """An index with one window, all in order."""
    place = tmp_path / "in" / NAME
    place.parent.mkdir()
    with Index(place, model):
        pass
    change(
        place,
        "INSERT INTO files VALUES (1, CAST('/a.wav' AS BLOB), 5, 5, 1.0, NULL)",
        f"INSERT INTO windows VALUES (1, 0.0, 1.0, 'rain', zeroblob({len(model.labels)}), zeroblob(8))",
    )
    return place


def change(place: Path, *statements: str) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as base:
        for statement in statements:
            base.execute(statement)


def refused(place: Path, model: SoundModel, words: str = "is damaged|no index of sam") -> None:
    """By those who look and those who write, in a sentence, at once, and without a change."""
    before, began = place.read_bytes(), time.monotonic()
    with pytest.raises(UsageError, match=words), Index(place) as index:
        index.contents()
        index.changed([])
    with pytest.raises(UsageError, match=words), Index(place, model) as index:
        index.update([], model, forget=False)
        index.contents()
    assert time.monotonic() - began < 20
    if "no index" in words:
        assert place.read_bytes() == before


def test_what_is_in_order_is_read(base: Path, model: SoundModel) -> None:
    with Index(base) as index:
        assert [window.caption for window in index.contents().windows] == ["rain"]
        assert index.contents().tags.shape == (1, len(model.labels)) and index.contents().embeddings.shape == (1, 4)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "statements",
    [
        ("DROP TABLE about", f"CREATE VIEW about (key, value) AS {ENDLESS} SELECT 'k' || i, 'v' FROM n"),
        ("DROP TABLE windows", f"CREATE VIEW windows AS {ENDLESS} SELECT i AS file, 0.0 AS start FROM n"),
        ("DROP TABLE files", f"CREATE VIEW files AS {ENDLESS} SELECT i AS id, x'61' AS path, 1 AS size FROM n"),
        (f"CREATE TRIGGER t BEFORE DELETE ON files BEGIN INSERT INTO about {ENDLESS} SELECT i, i FROM n; END",),
        ("CREATE TABLE logins (password)",),
        ("ALTER TABLE windows ADD COLUMN more AS (zeroblob(1000000000))",),
        ("DROP TABLE windows",),
    ],
)
def test_other_tables(base: Path, model: SoundModel, statements: tuple[str, ...]) -> None:
    change(base, *statements)
    refused(base, model, "no index of sam: it has other tables")


def test_another_programs_tables_stay_as_they_are(tmp_path: Path, model: SoundModel) -> None:
    change(tmp_path / "logins.sqlite", "CREATE TABLE logins (password)", "INSERT INTO logins VALUES ('1234')")
    refused(tmp_path / "logins.sqlite", model, "no index of sam")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logins.sqlite"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM about WHERE key = 'model'",
        "DELETE FROM about WHERE key = 'labels'",
        "UPDATE about SET value = x'00ff' WHERE key = 'model'",
        "UPDATE files SET path = 7",
        "UPDATE files SET size = 'large'",
        "UPDATE files SET problem = x'00'",
        "UPDATE windows SET caption = x'00ff'",
        "UPDATE windows SET start = 'early'",
        "UPDATE windows SET finish = 9e999",
        "UPDATE windows SET tags = zeroblob(5)",
        "UPDATE windows SET tags = 'many'",
        "UPDATE windows SET embedding = zeroblob(7)",
        "UPDATE windows SET embedding = x'007c007c007c007c'",
        "UPDATE windows SET embedding = 'text'",
        "INSERT INTO windows SELECT file, start, finish, caption, tags, zeroblob(6) FROM windows",
    ],
)
def test_odd_values(base: Path, model: SoundModel, statement: str) -> None:
    change(base, statement)
    refused(base, model, "is damaged")


def test_one_wide_embedding_among_many_that_are_silent(base: Path, model: SoundModel) -> None:
    """Two megabytes that would be half a terabyte in memory."""
    change(
        base,
        "UPDATE windows SET embedding = zeroblob(1000000)",
        "INSERT INTO windows WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) "
        "SELECT file, start, finish, caption, tags, NULL FROM windows, n",
    )
    refused(base, model, "is damaged")


def test_windows_of_no_file_are_passed_over(base: Path, model: SoundModel) -> None:
    change(base, "INSERT INTO windows SELECT 99, start, finish, caption, tags, embedding FROM windows")
    with Index(base) as index:
        assert len(index.contents().windows) == len(index.contents().tags) == 1


def test_text_that_is_none_is_shown_as_far_as_it_goes(base: Path) -> None:
    change(base, "UPDATE windows SET caption = CAST(x'72ff' AS TEXT)")
    with Index(base) as index:
        assert index.contents().windows[0].caption == "r\ufffd"


@pytest.mark.timeout(60)
def test_pages_that_lead_in_circles(base: Path, model: SoundModel) -> None:
    """Inner pages that all lead to the same page below make a small file endless to whoever reads row by row."""
    size = 4096
    change(base, "VACUUM")
    with closing(sqlite3.connect(base)) as look:
        root = look.execute("SELECT rootpage FROM sqlite_master WHERE name = 'windows'").fetchone()[0]
    data = bytearray(base.read_bytes())
    first = len(data) // size + 1
    levels, wide = 12, 200

    def inner(below: int) -> bytes:
        cells = b"".join(struct.pack(">I", below) + b"\1" for _ in range(wide))
        start = size - len(cells)
        places = b"".join(struct.pack(">H", start + 5 * number) for number in range(wide))
        page = struct.pack(">BHHHBI", 5, 0, wide, start, 0, below) + places
        return page + bytes(start - len(page)) + cells

    leaf = bytes(data[(root - 1) * size : root * size])
    data[(root - 1) * size : root * size] = inner(first)
    for level in range(levels):
        data += inner(first + level + 1)
    data += leaf
    data[28:32] = struct.pack(">I", len(data) // size)
    base.write_bytes(data)
    refused(base, model, "is damaged: its pages are inconsistent")


def test_what_has_no_end_is_given_up(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_file, "PATIENCE", 0.2)
    with (
        Index(base) as index,
        pytest.raises(UsageError, match="takes too long"),
        index_file.in_time(index._base, base),
    ):
        index._base.execute(f"{ENDLESS} SELECT sum(i) FROM n").fetchone()


def test_a_link_is_not_written_through(base: Path, model: SoundModel, tmp_path: Path) -> None:
    far = tmp_path / "far.sqlite"
    base.rename(far)
    base.symlink_to(far)
    before = far.read_bytes()
    with pytest.raises(OutputError, match=f"in/{NAME}': it is a link"):
        Index(base, model)
    assert far.read_bytes() == before
    with Index(base) as index:  # to look is no harm
        assert len(index) == 1
    with Index(base, model, named=True) as index:  # the user's own link
        assert len(index) == 1


@pytest.mark.timeout(60)
def test_a_link_that_leads_nowhere_makes_no_file(tmp_path: Path, model: SoundModel) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "new.sqlite")
    with pytest.raises(OutputError, match="it is a link"):
        Index(tmp_path / NAME, model)
    assert not (tmp_path / "new.sqlite").exists()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", ["", "-journal", "-wal", "-shm"])
@pytest.mark.parametrize("plant", [os.link, os.symlink, lambda victim, name: os.mkfifo(name)])
def test_what_lies_beside_is_ours_too(
    base: Path, model: SoundModel, tmp_path: Path, suffix: str, plant: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "diary"
    victim.write_bytes(base.read_bytes())
    name = Path(f"{base}{suffix}")
    name.unlink(missing_ok=True)
    plant(victim, name)
    before = victim.read_bytes()
    with pytest.raises(OutputError, match=f"{NAME}{suffix}': it is a"):
        Index(base, model)
    if suffix:  # SQLite would write there even to read
        with pytest.raises(OutputError, match=f"{NAME}{suffix}': it is a"):
            Index(base)
    assert victim.read_bytes() == before


def test_a_file_exchanged_just_before_sqlite_opens_it(
    base: Path, model: SoundModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when it is there again afterwards."""
    victim, kept = tmp_path / NAME, tmp_path / "kept"
    change(victim, "CREATE TABLE logins (password)")
    before, connect = victim.read_bytes(), sqlite3.connect

    def late(where: str, **how: object) -> sqlite3.Connection:
        base.rename(kept)
        base.symlink_to(victim)
        opened = connect(where, **how)  # type: ignore[call-overload]
        base.unlink()
        kept.rename(base)
        return opened  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", late)
    with pytest.raises(OutputError, match="exchanged"):
        Index(base, model)
    assert victim.read_bytes() == before


def test_a_journal_deletes_no_file(base: Path, model: SoundModel, tmp_path: Path) -> None:
    """A rollback journal may name another that SQLite deletes once it is played back."""
    victim = tmp_path / "diary"
    victim.write_text("dear diary\n")
    with closing(sqlite3.connect(base, isolation_level=None)) as writing:
        writing.execute("PRAGMA cache_size = 1")
        writing.execute("BEGIN")
        writing.execute("INSERT INTO about VALUES ('k', zeroblob(1000000))")
        hot = Path(f"{base}-journal").read_bytes()
        writing.execute("ROLLBACK")
    name = os.fsencode(victim)
    total = sum(struct.unpack(f"{len(name)}b", name)) & 0xFFFFFFFF
    page = struct.pack(">I", 0x40000000 // 4096 + 1)
    journal = Path(f"{base}-journal")
    journal.write_bytes(hot + page + name + struct.pack(">II", len(name), total) + JOURNAL_MAGIC)
    with pytest.raises(OutputError, match="deleted"):
        Index(base, model)
    with Index(base) as index:
        assert len(index) == 1
    assert victim.exists()
    journal.write_bytes(hot)  # as a killed run of ours leaves it, where there is no shared memory
    with Index(base, model) as index:
        assert len(index) == 1
    assert not journal.exists()
