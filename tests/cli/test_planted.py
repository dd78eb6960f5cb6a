"""A stranger's folder of recordings, with the results beside them: what was planted there harms nobody."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

TINY = ("--model", "tiny-random", "--device", "cpu")
DIARY = "# nothing but my own commands\n"
Plant = Callable[[Path, Path], None]


def link(name: Path, victim: Path) -> None:
    name.symlink_to(victim)


def pipe(name: Path, victim: Path) -> None:
    os.mkfifo(name)


PLANTS = [link, pipe]  # the other kinds are in the tests of the functions that all of these doors go through


@pytest.fixture
def victim(here) -> Path:
    """The start-up file of a shell."""
    place = here.folder / "home" / ".bashrc"
    place.parent.mkdir()
    place.write_text(DIARY)
    return place


@pytest.fixture
def evil(here, make_wav) -> Path:
    """Sounds, one with a name that a shell would run."""
    for name in ("$(touch PWNED).wav", "sub/b.wav"):
        make_wav(here.folder / "evil" / name, seconds=0.3)
    return here.folder / "evil"


def refusal(done, name: str) -> str:
    """Exit code 4 and one sentence that names the file."""
    text = done.stderr.decode()
    assert done.returncode == 4 and text.count("\n") == 1 and name in text and "Traceback" not in text, text
    return text


@pytest.mark.parametrize(("plant", "resume"), [(link, ()), (pipe, ("--resume",))])
def test_the_journal(here, evil, victim, plant: Plant, resume: tuple[str, ...]) -> None:
    plant(evil / ".sam.journal", victim)
    refusal(here("tag", "-f", "csv", "evil", "-o", "evil/", *resume, *TINY), "evil/.sam.journal")
    assert victim.read_text() == DIARY
    (evil / ".sam.journal").rename(evil / ".tags.csv.journal")
    refusal(here("tag", "evil", "-o", "evil/tags.csv", *resume, *TINY), "evil/.tags.csv.journal")
    assert victim.read_text() == DIARY


@pytest.mark.parametrize("plant", PLANTS)
def test_the_hidden_file(here, evil, victim, plant: Plant) -> None:
    plant(evil / ".tags.csv.part", victim)
    refusal(here("tag", "evil", "-o", "evil/tags.csv", *TINY), "evil/.tags.csv.part")
    assert victim.read_text() == DIARY
    (evil / ".tags.csv.part").rename(evil / ".$(touch PWNED).wav.csv.part")
    refusal(here("tag", "-f", "csv", "evil", "-o", "evil/", *TINY), "evil/.$(touch PWNED).wav.csv.part")
    assert victim.read_text() == DIARY


def test_a_result_and_a_folder_of_results(here, evil, victim) -> None:
    (evil / "$(touch PWNED).wav.csv").symlink_to(victim)
    refusal(here("tag", "-f", "csv", "evil", "-o", "evil/", *TINY), "evil/$(touch PWNED).wav.csv")
    (evil / "$(touch PWNED).wav.csv").unlink()
    (evil / "sub").rename(here.folder / "home" / "sub")
    (evil / "sub").symlink_to(here.folder / "home" / "sub")
    refusal(here("tag", "-f", "csv", "evil", "-o", "evil/", *TINY), "evil/sub")
    assert sorted(path.name for path in (here.folder / "home" / "sub").iterdir()) == ["b.wav"]
    done = here("tag", "-f", "csv", "evil", "-o", "elsewhere/", *TINY)
    assert done.returncode == 0 and (here.folder / "elsewhere" / "sub" / "b.wav.csv").is_file()
    assert victim.read_text() == DIARY


def test_the_mark_of_a_shard(here, evil, victim) -> None:
    for name in ("part.jsonl.shard", ".part.jsonl.shard.part"):
        (evil / name).symlink_to(victim)
        refusal(here("tag", "evil", "--shard", "1/1", "-o", "evil/part.jsonl", *TINY), f"evil/{name}")
        (evil / name).unlink()
    assert victim.read_text() == DIARY
    assert here("tag", "evil", "--shard", "1/1", "-o", "evil/part.jsonl", *TINY).returncode == 0
    (evil / "part.jsonl.shard").unlink()
    os.mkfifo(evil / "part.jsonl.shard")
    done = here("merge", "all.csv", "evil/part.jsonl")
    assert done.returncode == 2 and b"part.jsonl.shard" in done.stderr


@pytest.mark.parametrize("plant", PLANTS)
def test_the_index(here, evil, victim, plant: Plant) -> None:
    plant(evil / ".sam-index.sqlite", victim)
    refusal(here("index", "evil", *TINY), "evil/.sam-index.sqlite")
    assert victim.read_text() == DIARY
    (evil / ".sam-index.sqlite").rename(evil / ".sam-index.sqlite-wal")
    refusal(here("index", "evil", *TINY), "evil/.sam-index.sqlite-wal")
    assert victim.read_text() == DIARY


def test_the_tables_of_another_program(here, evil) -> None:
    place = here.folder / "logins.sqlite"
    with closing(sqlite3.connect(place)) as base:
        base.execute("CREATE TABLE logins (password)")
    before = place.read_bytes()
    (evil / ".sam-index.sqlite").symlink_to(place)
    refusal(here("index", "evil", *TINY), "evil/.sam-index.sqlite")
    for arguments in (("index", "evil", "--index", "logins.sqlite"), ("search", "rain", "evil")):
        done = here(*arguments, *TINY)
        assert done.returncode == 2 and b"no index of sam" in done.stderr
    assert place.read_bytes() == before


def test_a_format_of_its_own_has_a_journal_of_its_own(here, evil) -> None:
    """A run to one file takes nothing from one to another, and with --resume it learns from it."""
    options = ("--threshold", "0", "--verbose", *TINY)
    assert here("tag", "evil", "-o", "out.jsonl", "--resume", *options).returncode == 0
    kept = (here.folder / ".out.jsonl.journal").read_bytes()
    assert here("tag", "evil", "-o", "out.csv", *options).returncode == 0
    assert (here.folder / ".out.jsonl.journal").read_bytes() == kept
    again = here("tag", "evil", "-o", "out.jsonl", "--resume", *options)
    assert b"2 files were known" in again.stderr
    other = here("tag", "evil", "-o", "out.tsv", "--resume", "--segment", "5", *options)
    assert b"0 files were known" in other.stderr
    csv = here("tag", "evil", "-o", "out.csv", "--resume", *options)
    assert b"2 files were known" in csv.stderr
    paths = [json.loads(line)["path"] for line in (here.folder / "out.jsonl").read_text().splitlines()]
    assert len(paths) == 2


def test_a_journal_that_all_formats_shared_is_still_of_use(here, evil) -> None:
    assert here("tag", "evil", "-o", "out.jsonl", "--resume", *TINY).returncode == 0
    (here.folder / ".out.jsonl.journal").rename(here.folder / ".out.journal")
    before = (here.folder / ".out.journal").read_bytes()
    again = here("tag", "evil", "-o", "out.csv", "--resume", "--verbose", *TINY)
    assert again.returncode == 0 and b"2 files were known" in again.stderr
    assert (here.folder / ".out.journal").read_bytes() == before
