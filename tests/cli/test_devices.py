"""`--device cpu,cpu`: a process for each device, seen from outside."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Here, Sam

TINY = ("tag", "in", "--model", "tiny-random", "-f", "jsonl", "--batch-size", "1")


@pytest.fixture
def sounds(make_wav: Callable[..., Path], tmp_path: Path) -> Path:
    for number in range(8):
        make_wav(tmp_path / f"in/{number}.wav", seconds=1 + number % 3, seed=number)
    return make_wav(tmp_path / "in/9.wav", seconds=1)


def children(number: int) -> list[int]:
    """Whichever of its threads has started them."""
    threads = Path(f"/proc/{number}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_two_processes_write_what_one_writes(here: Here, sounds: Path) -> None:
    (sounds.parent / "bad.wav").write_text("no")
    one = here(*TINY, "--device", "cpu")
    two = here(*TINY, "--device", "cpu,cpu")
    assert (two.returncode, two.stdout) == (one.returncode, one.stdout) and one.returncode == 1
    assert b"bad.wav" in two.stderr


def test_standard_input_is_heard_by_one_process(here: Here, sounds: Path) -> None:
    options = ("tag", "-", *TINY[2:])
    one, two = (here(*options, "--device", device, input=sounds.read_bytes()) for device in ("cpu", "cpu,cpu"))
    assert (two.returncode, two.stdout) == (0, one.stdout) and b'"error":null' in two.stdout.replace(b" ", b"")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),  # it goes the way of SIGTERM
        (signal.SIGTERM, 143),
        (signal.SIGKILL, -9),
    ],
)
@pytest.mark.timeout(900)
def test_who_is_stopped_leaves_no_process(sam: Sam, here: Here, sounds: Path, number: int, code: int) -> None:
    for copy in range(120):
        os.link(sounds, sounds.with_name(f"more-{copy}.wav"))
    running = sam.start(*TINY, "--device", "cpu,cpu", "-o", "out.jsonl")
    deadline = time.monotonic() + 800
    journal = sam.folder / ".out.jsonl.journal"
    while not (journal.exists() and journal.stat().st_size) or len(hearing := children(running.pid)) < 2:
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(number)
    running.communicate(timeout=600)
    assert running.returncode == code
    while not all(map(gone, hearing)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if number == signal.SIGTERM:
        done = here(*TINY, "--device", "cpu,cpu", "-o", "out.jsonl", "--resume", "--verbose")
        assert done.returncode == 0 and b" 0 files were known" not in done.stderr
        assert len((sam.folder / "out.jsonl").read_bytes().splitlines()) == 129
