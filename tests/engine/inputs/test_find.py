"""What a person types, and the inputs that come of it."""

from __future__ import annotations

import errno
import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samcli.engine.inputs.find import Glob, Input, find_inputs
from samcli.errors import UsageError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def displays(inputs: list[Input]) -> list[str]:
    return [item.display for item in inputs]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folder_is_walked_in_order_without_hidden_or_foreign_names(here: Path) -> None:
    touch(
        *(
            here / "f" / name
            for name in ["b.wav", "a.MP3", "notes.txt", ".hidden.wav", ".git/c.wav", "b/z.flac", "B.ogg"]
        )
    )
    assert displays(find_inputs(["f"])) == ["f/B.ogg", "f/a.MP3", "f/b/z.flac", "f/b.wav"]
    assert displays(find_inputs(["f"], recursive=False)) == ["f/B.ogg", "f/a.MP3", "f/b.wav"]


@pytest.mark.parametrize("given", ["f", "./f", "f/", "../{name}/f", "{absolute}/f"])
def test_paths_stay_as_given(here: Path, given: str) -> None:
    touch(here / "f" / "sub" / "a.wav")
    given = given.format(name=here.name, absolute=here)
    (item,) = find_inputs([given])
    assert item.display == item.path == given.rstrip("/") + "/sub/a.wav"
    assert item.root == given
    assert item.relative == "sub/a.wav"


def test_named_file_may_be_called_anything(here: Path) -> None:
    touch(here / "take.001", here / ".hidden")
    assert displays(find_inputs(["take.001", ".hidden"])) == ["take.001", ".hidden"]


@pytest.mark.parametrize(
    "name", ["a b.wav", "new\nline.wav", "'q\"uote.wav", "-dash.wav", "*.wav", "ünï.wav", "\udcff\udc80.wav"]
)
def test_odd_names(here: Path, name: str) -> None:
    touch(here / "f" / name)
    assert displays(find_inputs(["f"])) == [f"f/{name}"]
    assert displays(find_inputs([os.fsencode(f"f/{name}")])) == [f"f/{name}"]
    (here / "list").write_bytes(os.fsencode(f"f/{name}") + b"\0")
    assert displays(find_inputs(files0_from="list")) == [f"f/{name}"]


def test_missing_names_end_the_run_before_it_starts(here: Path) -> None:
    touch(here / "a.wav")
    with pytest.raises(UsageError, match=r"'gone\.wav' \(and 1 more\)"):
        find_inputs(["a.wav", "gone.wav", "lost.wav"])
    with pytest.raises(UsageError, match="nothing to hear"):
        find_inputs([])


def test_a_broken_link_named_outright_exists(here: Path) -> None:
    (here / "link.wav").symlink_to("nowhere")
    assert displays(find_inputs(["link.wav"])) == ["link.wav"]


def test_empty_folder(here: Path) -> None:
    touch(here / "f" / "readme.txt")
    with pytest.raises(UsageError, match="'f' is a known kind"):
        find_inputs(["f"])
    touch(here / "f" / "a.wav")
    with pytest.raises(UsageError, match="'f' matches the pattern"):
        find_inputs(["f"], glob="*.flac")


def test_link_loops_and_links_outside(here: Path) -> None:
    touch(here / "f" / "sub" / "a.wav", here / "outside" / "b.wav")
    (here / "f" / "sub" / "up").symlink_to(here / "f")
    (here / "f" / "again").symlink_to(here / "f" / "sub")
    (here / "f" / "self").symlink_to("self")
    (here / "f" / "out").symlink_to(here / "outside")
    (here / "f" / "out2").symlink_to(here / "outside")
    (here / "outside" / "back").symlink_to(here)
    assert displays(find_inputs(["f"])) == ["f/out/b.wav", "f/sub/a.wav"]


def test_one_file_reached_twice_is_heard_once(here: Path) -> None:
    touch(here / "f" / "a.wav", here / "f" / "b.wav")
    (here / "f" / "c.wav").symlink_to("a.wav")
    (here / "list").write_text(f"{here}/f/b.wav\nf/a.wav\n")
    found = find_inputs(["f/b.wav", "f", "./f/a.wav"], files_from="list")
    assert displays(found) == ["f/b.wav", "f/a.wav", "f/c.wav"], "the first place counts; another name is another input"


def test_lists(here: Path) -> None:
    (here / "windows.txt").write_bytes(b"\xef\xbb\xbfa b.wav\r\n\r\ngone.wav\r\n caf\xe9.wav")
    found = find_inputs(files_from="windows.txt")
    assert displays(found) == ["a b.wav", "gone.wav", os.fsdecode(b" caf\xe9.wav")], "missing ones are found out later"
    assert displays(find_inputs(files0_from="-", stdin=io.BytesIO(b"x\ny.wav\0\0z.wav\0"))) == ["x\ny.wav", "z.wav"]
    with pytest.raises(UsageError, match="'none' cannot be read: no such file"):
        find_inputs(files_from="none")
    (here / "empty").touch()
    with pytest.raises(UsageError, match="nothing to hear"):
        find_inputs(files_from="empty")


def test_standard_input(here: Path) -> None:
    sound = io.BytesIO(b"sound")
    (item,) = find_inputs(["-"], stdin=sound)
    assert item.display == "-" and item.source is sound and item.relative == "stdin"
    with pytest.raises(UsageError, match="one place"):
        find_inputs(["-"], files_from="-", stdin=sound)
    with pytest.raises(UsageError, match="one place"):
        find_inputs(["-", "-"], stdin=sound)
    with pytest.raises(UsageError, match="not open"):
        find_inputs(["-"])


def test_results_never_share_a_place(here: Path) -> None:
    touch(here / "a" / "1.wav", here / "b" / "1.wav", here / "work" / "1.wav", here / "1.wav")
    os.chdir(here / "work")
    found = find_inputs(["../a", "../b", "1.wav", "../1.wav", here / "a"])
    places = [item.relative for item in found]
    assert len(set(places)) == len(places) == 4
    assert not any(place.startswith("/") or ".." in place for place in places)
    os.chdir(here)
    assert [item.relative for item in find_inputs(["a", "b"])] == ["a/1.wav", "b/1.wav"]
    assert [item.relative for item in find_inputs(["a/1.wav", "./b/1.wav"])] == ["a/1.wav", "b/1.wav"]


def test_a_folder_that_cannot_be_listed_is_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(here / "f" / "shut" / "a.wav", here / "f" / "z.wav")
    scandir = os.scandir

    def refuse(path: str) -> object:  # what chmod does to everyone but the superuser, as whom tests often run
        if path.endswith("shut"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    shut, open_one = find_inputs(["f"])
    assert shut.problem is not None and shut.problem[0] == "permission" and "'f/shut'" in shut.problem[1]
    assert open_one.display == "f/z.wav"


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.wav", ["a.wav", "x/y/a.wav"], ["a.flac", "a.wav.txt", "wav"]),
        ("take?.wav", ["take1.wav"], ["take12.wav", "take/.wav"]),
        ("x/*.wav", ["x/a.wav"], ["a.wav", "x/y/a.wav"]),
        ("x/**/a.wav", ["x/a.wav", "x/y/z/a.wav"], ["a.wav", "y/x/a.wav"]),
        ("**", ["a", "x/y"], []),
        ("[ab].wav", ["a.wav", "b.wav"], ["c.wav", "[ab].wav"]),
        ("[!ab].wav", ["c.wav"], ["a.wav"]),
        ("(1+1).wav", ["(1+1).wav"], ["11.wav"]),
        ("[.wav", ["[.wav"], ["a.wav"]),
        ("[a-c]*", ["b", "x/cat"], ["dog"]),
        ("[^a]", ["b"], ["a"]),
        ("[[&~|-]x", ["[x", "&x", "-x"], ["ax"]),
        ("[--0]", ["-", ".", "0"], ["1"]),
        ("*a*b*c", ["abc", "xaxbxc", "aabbcc"], ["acb", "abcx"]),
        ("a**b.wav", ["ab.wav", "axxb.wav"], ["a/b.wav"]),
        ("./x/*", ["x/a"], ["a", "y/x/a"]),
        ("x/**", ["x/a", "x/y/z"], ["x", "a/x/b"]),
        ("**/x/**/y/*", ["x/y/a", "b/x/c/x/d/y/a"], ["x/a", "y/x/a", "b/c/y/a"]),
        ("*\n*", ["a\nb"], ["ab"]),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    glob = Glob(pattern)
    assert [name for name in yes if not glob.match(name)] == []
    assert [name for name in no if glob.match(name)] == []


ENDLESS = ["*a" * 60 + "b", "**/a/" * 30 + "b", "a*" * 40 + "/**/" + "*?" * 60, "*" * 5000 + "b"]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    began = time.process_time()
    assert not Glob(pattern).match("a/" * 400 + "a" * 250)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("pattern", ["[z-a]", "x[!]", "[^]/a"])
def test_patterns_that_cannot_be_read(pattern: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Glob(pattern)


PARTS = st.sampled_from(["a", "b", "ab", "*", "?", "**", "/", "/**/", "[ab]", "[!a]", "x"])


@given(st.lists(PARTS, min_size=1, max_size=6).map("".join), st.text("abx/", min_size=1, max_size=9))
def test_a_plain_search_agrees(pattern: str, path: str) -> None:
    """Every way of letting each star take any number of letters, one after the other."""
    path = "/".join(filter(None, path.split("/"))) or "a"
    pattern = "/".join(filter(None, pattern.split("/"))) or "a"

    def fits(names: list[str], folders: list[str]) -> bool:
        if not names:
            return not folders
        if names == ["**"]:
            return bool(folders)
        if names[0] == "**":
            return any(fits(names[1:], folders[count:]) for count in range(len(folders) + 1))
        return bool(folders) and letters(names[0], folders[0]) and fits(names[1:], folders[1:])

    def letters(name: str, text: str) -> bool:
        if not name:
            return not text
        if name[0] == "*":
            return any(letters(name[1:], text[count:]) for count in range(len(text) + 1))
        if name[0] == "[":
            body, rest = name[1:].split("]", 1)
            wanted = (text[:1] in body.lstrip("!")) != body.startswith("!")
            return bool(text) and wanted and letters(rest, text[1:])
        return bool(text) and name[0] in ("?", text[0]) and letters(name[1:], text[1:])

    names = pattern.split("/")
    assert Glob(pattern).match(path) == fits(names if len(names) > 1 else ["**", *names], path.split("/"))


def test_several_patterns_and_pattern_replaces_the_known_suffixes(here: Path) -> None:
    touch(here / "f" / "a.wav", here / "f" / "b.raw", here / "f" / "c.flac")
    assert displays(find_inputs(["f"], glob=["*.raw", "*.flac"])) == ["f/b.raw", "f/c.flac"]


def test_folders_deeper_than_functions_call_themselves(here: Path) -> None:
    place = Path("f")
    place.mkdir()
    for _ in range(1100):
        place = place / "a"
        place.mkdir()
    (place / "x.wav").touch()
    assert displays(find_inputs(["f"])) == [f"{place}/x.wav"]
    (place / "x.wav").unlink()
    while place != Path():  # whoever cleans up may call himself too
        place.rmdir()
        place = place.parent


def test_a_folder_named_like_a_sound_is_a_folder(here: Path) -> None:
    touch(here / "f" / "x.wav" / "a.wav")
    assert displays(find_inputs(["f"])) == ["f/x.wav/a.wav"]
