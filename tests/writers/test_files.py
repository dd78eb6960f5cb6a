"""Files appear whole or not at all."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samcli.errors import OutputError
from samcli.records import Record
from samcli.writers.files import AtomicFile, FileSink, FolderSink
from samcli.writers.formats import FORMATS, Layout

LAYOUT = Layout("caption")
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")


def said(path, words="rain"):
    return Record(task="caption", path=path, start=0, end=1, caption=words)


def test_nothing_is_seen_before_the_end(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    with FileSink(target, FORMATS["csv"], LAYOUT) as sink:
        sink.write(said("a.wav"))
        assert target.read_text() == "old"
        sink.keep()
    assert "a.wav" in target.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_leaving_without_keeping_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(RuntimeError), FileSink(target, FORMATS["csv"], LAYOUT) as sink:
        sink.write(said("a.wav"))
        raise RuntimeError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_permissions_are_the_old_files_or_the_users(tmp_path):
    for name, before in (("new.txt", None), ("old.txt", 0o640)):
        target = tmp_path / name
        if before is not None:
            target.touch()
            target.chmod(before)
        file = AtomicFile(target)
        file.write(b"x")
        file.keep()
        umask = os.umask(0)
        os.umask(umask)
        assert stat.S_IMODE(target.stat().st_mode) == (before if before is not None else 0o666 & ~umask)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "far").mkdir()
    link = tmp_path / "out.txt"
    link.symlink_to(tmp_path / "far" / "real.txt")
    file = AtomicFile(link)
    file.write(b"x")
    file.keep()
    assert link.is_symlink() and (tmp_path / "far" / "real.txt").read_bytes() == b"x"


def test_a_pipe_is_written_not_replaced(tmp_path):
    pipe = tmp_path / "out.txt"
    os.mkfifo(pipe)
    heard = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    file = AtomicFile(pipe)
    file.write(b"x")
    file.keep()
    reader.join(10)
    assert heard == [b"x"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for target in (tmp_path / "folder.csv", tmp_path / "missing" / "out.csv"):
        with pytest.raises(OutputError, match=target.name):
            AtomicFile(target)


@not_root
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="Permission denied"):
        AtomicFile(tmp_path / "out.csv")


def test_a_full_device_is_an_output_error():
    file = AtomicFile(Path("/dev/full"))
    with pytest.raises(OutputError, match="No space left"):
        file.write(b"x")


def test_what_a_killed_run_left_is_taken_over(tmp_path):
    (tmp_path / ".out.txt.part").write_bytes(b"left by a run that was killed, and much longer")
    file = AtomicFile(tmp_path / "out.txt")
    file.write(b"new")
    file.keep()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out.txt", b"new")]


def test_what_a_living_run_writes_is_not(tmp_path):
    first = AtomicFile(tmp_path / "out.txt")
    first.write(b"first")
    with pytest.raises(OutputError, match="another run"):
        AtomicFile(tmp_path / "out.txt")
    first.keep()
    second = AtomicFile(tmp_path / "out.txt")
    second.discard()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("out.txt", b"first")]


def test_many_who_want_one_file_leave_one_whole_file(tmp_path):
    texts = [bytes([letter]) * 5000 for letter in b"abcdefgh"]
    refused = []

    def race(text):
        for _ in range(50):
            try:
                file = AtomicFile(tmp_path / "out.txt")
            except OutputError:
                refused.append(text)
                continue
            file.write(text[:2500])
            file.write(text[2500:])
            file.keep()
            assert (tmp_path / "out.txt").read_bytes() in texts

    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(race, texts))
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]
    assert (tmp_path / "out.txt").read_bytes() in texts


def test_one_file_per_input_keeps_folders_and_suffixes(tmp_path):
    places = {"in/a/1.wav": "a/1.wav", "in/b/1.wav": "b/1.wav", "in/b/1.mp3": "b/1.mp3"}
    with FolderSink(tmp_path / "out", FORMATS["srt"], LAYOUT, places) as sink:
        for path in places:
            sink.write(said(path, "one"))
            sink.write(said(path, "two"))
        sink.keep()
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert files == ["a/1.wav.srt", "b/1.mp3.srt", "b/1.wav.srt"]
    text = (tmp_path / "out" / "a" / "1.wav.srt").read_text()
    assert text.startswith("1\n") and "\n2\n" in text


@pytest.mark.parametrize("name", ["x" * 251 + ".wav", "\u96e8" * 83 + ".wav", "\udcff" * 255, "x" * 255])
def test_names_as_long_as_names_can_be(tmp_path, name):
    """No input ends a run because its own name leaves no room for a suffix; two such names stay two files."""
    twin = name[:-1] + "\udcfe"
    places = {f"in/{one}": f"{'d' * 255}/{one}" for one in (name, twin)}
    for _ in range(2):  # what is there already is replaced, under the same names
        with FolderSink(tmp_path / "out", FORMATS["jsonl"], LAYOUT, places) as sink:
            for path in places:
                sink.write(said(path))
            sink.keep()
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) == 2 and all(path.suffix == ".jsonl" for path in files)
    assert all(os.fsencode(path.name).startswith(os.fsencode(name)[:9]) for path in files)


def test_a_file_whose_name_leaves_no_room_for_the_hidden_one(tmp_path):
    target = tmp_path / ("x" * 251 + ".csv")
    with FileSink(target, FORMATS["csv"], LAYOUT) as sink:
        sink.write(said("a.wav"))
        sink.keep()
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_folders_deeper_than_functions_call_themselves(tmp_path):
    deep = "/".join("a" * 1200)
    with FolderSink(tmp_path / "out", FORMATS["txt"], LAYOUT, {"x": f"{deep}/x.wav"}) as sink:
        sink.write(said("x"))
        sink.keep()
    place = tmp_path / "out" / deep / "x.wav.txt"
    assert place.read_text() == "rain\n"
    place.unlink()
    while place.parent != tmp_path:  # whoever cleans up may call himself too
        place = place.parent
        place.rmdir()


def test_an_input_under_way_leaves_no_file_when_the_run_breaks(tmp_path):
    with pytest.raises(RuntimeError), FolderSink(tmp_path, FORMATS["txt"], LAYOUT, {"a": "a", "b": "b"}) as sink:
        sink.write(said("a"))
        sink.write(said("b"))
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
