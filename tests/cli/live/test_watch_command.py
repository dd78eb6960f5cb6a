"""`sam watch` as a person runs it: the real system tells of files, and the watch is killed and started again."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Here, Sam

TINY = ("--model", "tiny-random", "--offline")


def names(path: Path) -> list[str]:
    return [Path(json.loads(line)["path"]).name for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(path: Path, count: int, seconds: float = 240) -> list[str]:
    deadline = time.monotonic() + seconds
    while len(names(path)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return names(path)


def test_files_are_heard_as_they_come(sam: Sam, tmp_path: Path, make_wav: Callable[..., Path]) -> None:
    pytest.importorskip("watchfiles", reason="watchfiles is not installed")
    (tmp_path / "inbox").mkdir()
    out = tmp_path / "out.jsonl"
    make_wav(tmp_path / "inbox" / "first.wav")
    running = sam.start("watch", "inbox", "-o", "out.jsonl", "--settle", "0.2", *TINY)
    assert wait_for(out, 1) == ["first.wav"]
    (tmp_path / "inbox" / "deep").mkdir()
    make_wav(tmp_path / "inbox" / "deep" / "second.wav", pitch=200)
    assert wait_for(out, 2)[1:] == ["second.wav"]
    make_wav(tmp_path / "third.wav", pitch=300)
    shutil.move(tmp_path / "third.wav", tmp_path / "inbox" / "third.wav")
    assert wait_for(out, 3)[2:] == ["third.wav"]
    running.send_signal(signal.SIGTERM)
    stdout, stderr = running.communicate(timeout=100)
    assert running.returncode == 143 and stdout == b"" and b"goes on" in stderr


def test_once_for_cron(here: Here, tmp_path: Path, make_wav: Callable[..., Path]) -> None:
    (tmp_path / "inbox").mkdir()
    once = ("watch", "inbox", "-o", "out.jsonl", "--once", "--settle", "0", *TINY)
    assert here(*once).returncode == 0
    make_wav(tmp_path / "inbox" / "a.wav")
    (tmp_path / "inbox" / "bad.wav").write_bytes(b"no sound, only words" * 9)
    done = here(*once)
    assert done.returncode == 1 and b"bad.wav" in done.stderr and done.stdout == b""
    assert here(*once).returncode == 0 and sorted(names(tmp_path / "out.jsonl")) == ["a.wav", "bad.wav"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "-o", "a.jsonl"), "nowhere"),
        ((".",), "-o FILE"),
        ((".", "-o", "a.jsonl", "--poll", "0"), "--poll"),
        ((".", "-o", "a.jsonl", "--task", "ask"), "--task"),
    ],
)
def test_what_cannot_be_watched(here: Here, arguments: tuple[str, ...], words: str) -> None:
    done = here("watch", *arguments, *TINY)
    assert done.returncode == 2 and words in done.stderr.decode()


@pytest.mark.stress
def test_killed_again_and_again(sam: Sam, tmp_path: Path, make_wav: Callable[..., Path]) -> None:
    (tmp_path / "inbox").mkdir()
    out = tmp_path / "out.jsonl"
    for number in range(60):
        make_wav(tmp_path / "inbox" / f"{number}.wav", seconds=1, pitch=100 + 10 * number)
    for turn in range(5):
        running = sam.start("watch", "inbox", "-o", "out.jsonl", "--poll", "1", "--settle", "0", *TINY)
        wait_for(out, 1 + turn * 5)
        running.kill()
        running.communicate()
    assert sam("watch", "inbox", "-o", "out.jsonl", "--once", "--settle", "0", *TINY).returncode == 0
    assert sorted(names(out)) == sorted(f"{number}.wav" for number in range(60))
