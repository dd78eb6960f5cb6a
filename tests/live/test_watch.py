"""A folder that fills: each file once, complete, whatever happens to it or to the watch."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samcli.engine.options import RunOptions
from samcli.live.ledger import Ledger, Looks
from samcli.live.watch import Counts, Watch, Watched
from samcli.records import Record
from samcli.tasks.run import task_for
from tests.engine.toy import Toy

Once = Callable[[], Counts]


class Place:
    """A folder, its output, and a watch that looks once."""

    def __init__(self, root: Path) -> None:
        self.folder, self.output = root / "inbox", root / "heard.jsonl"
        self.folder.mkdir()
        self.told: list[Record] = []
        self.model: Any = Toy()

    def once(self, settle: float = 0.0) -> Counts:
        options = RunOptions()
        with Ledger(str(self.output), "settings") as ledger:
            watched = Watched([str(self.folder)], ledger, recursive=True, glob=(), settle=settle)
            task = task_for("tag", self.model, options)
            return Watch(task, self.model, options, watched, ledger, self.told.append, print).once()

    def heard(self) -> list[str]:
        return [Path(json.loads(line)["path"]).name for line in self.output.read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_each_file_is_heard_once(place: Place, make_wav: Callable[..., Path]) -> None:
    assert place.once() == Counts(0, 0) and place.heard() == []  # an empty folder is no error
    make_wav(place.folder / "a.wav")
    make_wav(place.folder / "deep" / "er" / "b.wav")
    (place.folder / ".hidden.wav").write_bytes(b"")
    (place.folder / "notes.txt").write_text("no sound")
    assert place.once() == Counts(2, 0) and place.once() == Counts(0, 0)
    make_wav(place.folder / "c.wav", pitch=200)
    assert place.once() == Counts(1, 0) and sorted(place.heard()) == ["a.wav", "b.wav", "c.wav"]


def test_a_bad_file_stays_known(place: Place, make_wav: Callable[..., Path]) -> None:
    (place.folder / "bad.wav").write_bytes(b"no sound, only words" * 9)
    assert place.once() == Counts(0, 1) and [record.error is not None for record in place.told] == [True]
    assert place.once() == Counts(0, 0)
    time.sleep(0.01)
    make_wav(place.folder / "bad.wav")  # mended
    assert place.once() == Counts(1, 0) and place.heard() == ["bad.wav", "bad.wav"]


def test_renamed_and_deleted(place: Place, make_wav: Callable[..., Path]) -> None:
    make_wav(place.folder / "a.wav")
    make_wav(place.folder / "b.wav", pitch=200)
    assert place.once() == Counts(2, 0)
    (place.folder / "a.wav").rename(place.folder / "z.wav")
    (place.folder / "b.wav").unlink()
    assert place.once() == Counts(0, 0)
    shutil.copy(place.folder / "z.wav", place.folder / "copy.wav")  # another file
    assert place.once() == Counts(1, 0)


def test_what_still_grows_waits(place: Place, make_wav: Callable[..., Path], tmp_path: Path) -> None:
    make_wav(place.folder / "a.wav")
    with Ledger(str(place.output), "settings") as ledger:
        watched = Watched([str(place.folder)], ledger, recursive=True, glob=(), settle=3600.0)
        watched.look()
        assert watched.ready() == [] and len(watched) == 1  # fresh
        with (place.folder / "a.wav").open("ab") as file:
            file.write(bytes(100))
        watched.settle = 0.0
        assert watched.ready() == []  # it has grown since
        assert [item.display for item, _ in watched.ready()] == [str(place.folder / "a.wav")]
        old = make_wav(tmp_path / "old.wav")
        os.utime(old, (1e9, 1e9))
        watched.settle = 3600.0
        shutil.move(old, place.folder / "moved-in.wav")
        watched.look()
        assert [Path(item.path).name for item, _ in watched.ready()] == ["moved-in.wav"]
        make_wav(place.folder / "gone.wav")
        watched.look()
        (place.folder / "gone.wav").unlink()
        watched.settle = 0.0
        assert "gone.wav" not in [Path(item.path).name for item, _ in watched.ready()] and len(watched) == 0


@pytest.mark.parametrize("torn", ["output", "ledger", "both"])
def test_a_watch_that_was_killed_goes_on(place: Place, make_wav: Callable[..., Path], torn: str) -> None:
    """A record without its word in the ledger, half a record, half a word: all are taken back and made anew."""
    for number in range(4):
        make_wav(place.folder / f"{number}.wav", pitch=200 + 50 * number, seconds=0.5)
    assert place.once() == Counts(4, 0)
    whole = place.output.read_bytes()
    ledger = place.output.with_name(".heard.jsonl.watched")
    words = ledger.read_bytes().splitlines(keepends=True)
    if torn in ("ledger", "both"):
        ledger.write_bytes(b"".join(words[:2]) + words[2][:30])
    else:
        ledger.write_bytes(b"".join(words[:3]))
    if torn in ("output", "both"):
        place.output.write_bytes(whole[:-20])
    again = place.once()
    assert again == Counts(1 if torn == "output" else 2, 0) and place.output.read_bytes() == whole


def test_one_watch_at_a_time(place: Place) -> None:
    from samcli.errors import OutputError

    with Ledger(str(place.output), "a"), pytest.raises(OutputError, match="Another watch"):
        Ledger(str(place.output), "a")


def test_other_settings_hear_anew(tmp_path: Path, make_wav: Callable[..., Path]) -> None:
    path = str(make_wav(tmp_path / "a.wav"))
    looks = Looks.of(path)
    assert looks is not None
    with Ledger(str(tmp_path / "out.jsonl"), "one") as ledger:
        ledger.write(path, looks, [Record(task="tag", path=path)])
        assert ledger.knows(path, looks) and len(ledger) == 1
    with Ledger(str(tmp_path / "out.jsonl"), "another") as ledger:
        assert not ledger.knows(path, looks)


def test_many_at_once(place: Place, make_wav: Callable[..., Path]) -> None:
    first = make_wav(place.folder / "0.wav", seconds=0.3)
    for number in range(1, 100):
        shutil.copyfile(first, place.folder / f"{number}.wav")
    assert place.once() == Counts(100, 0) and len(set(place.heard())) == len(place.heard()) == 100
    assert place.once() == Counts(0, 0)
