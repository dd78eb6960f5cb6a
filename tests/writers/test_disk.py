"""Nothing is written through what a stranger left under a name of ours: links, second names, pipes, others' files."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from samcli.errors import OutputError
from samcli.records import Record
from samcli.writers import disk
from samcli.writers.disk import Folder, StrangeFileError, own_file, put_back, put_in_place
from samcli.writers.files import AtomicFile, FolderSink, append_line, prepare_own_folder, write_whole
from samcli.writers.formats import FORMATS, Layout

DIARY = "dear diary\n"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the user's, far from the folder that a stranger sent."""
    (tmp_path / "home").mkdir()
    place = tmp_path / "home" / "diary"
    place.write_text(DIARY)
    return place


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    (tmp_path / "evil").mkdir()
    return tmp_path / "evil"


def link(name: Path, victim: Path) -> None:
    name.symlink_to(victim)


def dangling(name: Path, victim: Path) -> None:
    name.symlink_to(victim.with_name("new"))


def second_name(name: Path, victim: Path) -> None:
    name.hardlink_to(victim)


def pipe(name: Path, victim: Path) -> None:
    os.mkfifo(name)


def folder(name: Path, victim: Path) -> None:
    name.mkdir()


def device(name: Path, victim: Path) -> None:
    try:
        os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:
        pytest.skip("only root makes devices")


def plug(name: Path, victim: Path) -> None:
    here = Path.cwd()
    os.chdir(name.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(name.name)
    finally:
        os.chdir(here)


def anothers(name: Path, victim: Path) -> None:
    name.touch(mode=0o666)
    try:
        os.chown(name, 12345, 12345)
    except OSError:
        pytest.skip("only root gives files away")


PLANTS = [link, dangling, second_name, pipe, folder, device, plug, anothers]
Plant = Callable[[Path, Path], None]


def unharmed(victim: Path) -> bool:
    return victim.read_text() == DIARY and [path.name for path in victim.parent.iterdir()] == [victim.name]


@pytest.mark.timeout(20)  # a pipe must not be waited for
@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("mode", ["ab", "wb", "r+b"])
def test_what_is_no_file_of_ours_is_not_opened(evil: Path, victim: Path, plant: Plant, mode: str) -> None:
    plant(evil / "log", victim)
    with pytest.raises(StrangeFileError) as refused:
        own_file(evil / "log", mode)
    assert refused.value.filename == str(evil / "log") and str(refused.value.strerror).startswith("it ")
    assert unharmed(victim)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", PLANTS)
def test_the_hidden_file_beside_the_one_that_is_named(evil: Path, victim: Path, plant: Plant) -> None:
    plant(evil / ".tags.csv.part", victim)
    with pytest.raises(OutputError, match=r"evil/\.tags\.csv\.part': it ") as refused:
        AtomicFile(evil / "tags.csv")
    assert refused.value.exit_code == 4
    assert unharmed(victim)


def test_what_the_folders_owner_left_is_taken_over(evil: Path) -> None:
    """Root and shared folders: who owns the folder may do as he likes in it anyway."""
    (evil / "log").write_text("a\n")
    try:
        os.chown(evil, 12345, 12345)
        os.chown(evil / "log", 12345, 12345)
    except OSError:
        pytest.skip("only root gives files away")
    append_line(evil / "log", "b")
    assert (evil / "log").read_text() == "a\nb\n"


def test_ours_is_opened_as_usual(evil: Path) -> None:
    append_line(evil / "log", "one")
    append_line(evil / "log", "two \udcff")
    assert (evil / "log").read_bytes() == b"one\ntwo \xff\n"
    with own_file(evil / "log", "wb") as file:
        file.write(b"anew")
    assert (evil / "log").read_bytes() == b"anew"
    with pytest.raises(FileNotFoundError):
        own_file(evil / "none")


@pytest.mark.parametrize("swapped", [link, second_name, pipe])
@pytest.mark.timeout(20)
def test_a_file_exchanged_between_the_look_and_the_opening(
    evil: Path, victim: Path, swapped: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evil / "log").touch()
    check = Folder.check

    def late(self: Folder, name: str, **how: bool) -> None:
        check(self, name, **how)
        self.remove(name)
        swapped(evil / name, victim)

    monkeypatch.setattr(Folder, "check", late)
    with pytest.raises(OSError):
        own_file(evil / "log", "wb")
    assert unharmed(victim)


def records(evil: Path, places: dict[str, str]) -> None:
    with FolderSink(evil, FORMATS["txt"], Layout("caption"), places) as sink:
        for path in places:
            sink.write(Record(task="caption", path=path, start=0, end=1, caption="rain"))
        sink.keep()


def test_no_linked_folder_is_entered_below_the_one_that_is_named(evil: Path, victim: Path, tmp_path: Path) -> None:
    (evil / "sub").symlink_to(victim.parent)
    with pytest.raises(OutputError, match="evil/sub': it is a link"):
        records(evil, {"a": "sub/a.wav"})
    (evil / "deep").mkdir()
    (evil / "deep" / "er").symlink_to(victim.parent)
    with pytest.raises(OutputError, match="evil/deep/er': it is a link"):
        records(evil, {"a": "deep/er/and/deeper/a.wav"})
    assert unharmed(victim)
    (tmp_path / "named").symlink_to(evil)  # the user's own choice
    records(tmp_path / "named", {"a": "other/a.wav"})
    assert (evil / "other" / "a.wav.txt").read_text() == "rain\n"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("plant", [link, dangling, pipe, folder, device, plug])
def test_no_linked_file_is_replaced_below_the_one_that_is_named(evil: Path, victim: Path, plant: Plant) -> None:
    plant(evil / "a.wav.txt", victim)
    with pytest.raises(OutputError, match=r"evil/a\.wav\.txt': it is a"):
        records(evil, {"a": "a.wav"})
    assert unharmed(victim)


def test_a_folder_exchanged_after_it_was_entered(
    evil: Path, victim: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was begun in a folder is finished there, wherever it is moved and whatever takes its name."""
    begin = disk.Folder.open

    def late(self: Folder, name: str, flags: int, mode: int = 0o666) -> int:
        if (evil / "sub").is_dir() and not (evil / "sub").is_symlink():
            (evil / "sub").rename(tmp_path / "moved")
            (evil / "sub").symlink_to(victim.parent)
        return begin(self, name, flags, mode)

    monkeypatch.setattr(disk.Folder, "open", late)
    records(evil, {"a": "sub/a.wav"})
    assert (tmp_path / "moved" / "a.wav.txt").read_text() == "rain\n"
    assert unharmed(victim)


def test_a_folder_of_our_choice_is_no_link(evil: Path, victim: Path) -> None:
    (evil / "training").symlink_to(victim.parent)
    with pytest.raises(OutputError, match="evil/training': it is a link"):
        prepare_own_folder(evil / "training")
    with pytest.raises(OutputError, match="evil/training': it is a link"):
        write_whole(evil / "training" / "diary", b"x", own=2)
    with pytest.raises(OutputError, match="evil/training': it is a link"):
        append_line(evil / "training" / "diary", "x", own=2)
    assert unharmed(victim)


def test_a_renamed_file_lasts(evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, then its name, then the folder that holds the name."""
    order: list[str] = []
    sync, replace = os.fsync, os.replace
    kinds = {stat.S_IFDIR: "folder", stat.S_IFREG: "file"}

    def synced(descriptor: int) -> None:
        order.append(kinds[stat.S_IFMT(os.fstat(descriptor).st_mode)])
        sync(descriptor)

    def replaced(*names: str, **where: int) -> None:
        order.append("name")
        replace(*names, **where)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_whole(evil / "out.csv", b"x")
    assert order == ["file", "name", "folder"]
    order.clear()
    records(evil, {"a": "a.wav", "b": "b.wav", "c": "sub/c.wav"})  # of many files each folder once, at the end
    assert order == ["file", "name"] * 3 + ["folder"] * 2


def test_without_descriptors_of_folders(evil: Path, victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: the same, by paths."""
    monkeypatch.setattr(disk, "BY_DESCRIPTOR", False)
    records(evil, {"a": "sub/a.wav"})
    append_line(evil / "log", "one")
    assert (evil / "sub" / "a.wav.txt").read_text() == "rain\n" and (evil / "log").read_text() == "one\n"
    (evil / "far").symlink_to(victim.parent)
    (evil / "near").symlink_to(victim)
    with pytest.raises(OutputError, match="evil/far': it is a link"):
        records(evil, {"a": "far/a.wav"})
    with pytest.raises(OutputError, match="evil/near': it is a link"):
        append_line(evil / "near", "one")
    assert unharmed(victim)


KILLED = """
import os, signal, sys
from pathlib import Path
from samcli.writers import disk
if sys.argv[3] == "by renaming":
    disk._exchanged = lambda one, other: False
count = 0
def strike(event, arguments):
    global count
    if event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "ctypes.dlopen"):
        count += 1
        if count == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(strike)
disk.put_in_place(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("way", ["at once", "by renaming"])
@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_killed_while_a_folder_takes_the_place_of_another(tmp_path: Path, way: str, moment: int) -> None:
    """Whenever it is killed, one of the two is there, whole; by renaming, after the next run has put it back."""
    for name in ("new", "model"):
        (tmp_path / name).mkdir()
        for file in ("config.json", "model.safetensors"):
            (tmp_path / name / file).write_text(name)
    command = [sys.executable, "-c", KILLED, tmp_path / "new", tmp_path / "model", way, str(moment)]
    root = Path(__file__).resolve().parents[2]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(root)}, check=False)
    if way == "by renaming":
        put_back(tmp_path / "model")
    files = [(tmp_path / "model" / file).read_text() for file in ("config.json", "model.safetensors")]
    assert files in (["new"] * 2, ["model"] * 2)


def test_a_folder_takes_the_place_of_a_link(tmp_path: Path) -> None:
    for name in ("new", "far"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "model").symlink_to(tmp_path / "far")
    put_in_place(tmp_path / "new", tmp_path / "model")
    assert not (tmp_path / "model").is_symlink() and (tmp_path / "model" / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "model"]
    assert (tmp_path / "far" / "file").read_text() == "far"
