"""Stopped at any moment, by whatever stops programs: what comes out in the end is what an undisturbed run writes.

    python -m pytest tests/stress/test_stops.py -m stress         # 200 kills over 300 files, and the other stops

Every run here is the real program in a process of its own. Moments are drawn at random from three kinds: while it
starts, while it works, and while it puts its results in place. Of the 200 kills (SAM_KILLS says another number) nine in
ten strike a run that began with its libraries loaded.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nursery import Run

TINY = ("--model", "tiny-random", "--device", "cpu")
WORK = ("tag", "in", "-o", "out/tags.jsonl", "--resume", "--batch-size", "1", *TINY)
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24

KILLS = int(os.environ.get("SAM_KILLS", "200"))

SLICE_OR_ALL = [
    pytest.param(40, 2, id="slice"),
    pytest.param(300, KILLS, id="all", marks=[pytest.mark.stress, pytest.mark.timeout(14_000)]),
]
SIGNALS_OR_ALL = [
    pytest.param(40, 1, id="slice"),
    pytest.param(300, 40, id="all", marks=[pytest.mark.stress, pytest.mark.timeout(14_000)]),
]


class Patience:
    """A moment to strike: some time after the start, or after so many results are safe in the journal."""

    def __init__(self, journal: Path, chance: random.Random, startup: float, good: int) -> None:
        self.journal = journal
        self.good = good
        self.seen, self.read = 0, 0  # lines, bytes
        kind = chance.choice(("starting", "working", "working", "ending"))
        if self.lines() >= good:  # nothing is left to wait for but the putting in place, some time after the start
            kind = "starting"
        self.pause = chance.uniform(0, 1.5 * startup) if kind == "starting" else chance.uniform(0, 0.03)
        self.more = {"starting": 0, "working": chance.randint(1, 40), "ending": 10**9}[kind]

    def wait(self, running: subprocess.Popen[bytes] | Run) -> None:
        aim = min(self.lines() + self.more, self.good)
        while self.more and running.poll() is None and self.lines() < aim:
            time.sleep(0.01)
        time.sleep(self.pause)

    def lines(self) -> int:
        """How many results are safe."""
        if self.journal.exists() and self.journal.stat().st_size > self.read:
            with self.journal.open("rb") as file:
                file.seek(self.read)
                new = file.read()
            self.seen, self.read = self.seen + new.count(b"\n"), self.read + len(new)
        return self.seen


def heeding(running: subprocess.Popen[bytes] | Run) -> None:
    """Wait until the program has taken over the signals: before that, Python has its own way to end."""
    status = Path(f"/proc/{running.pid}/status")
    while running.poll() is None and status.exists():
        caught = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt")]
        if caught and int(caught[0], 16) & (1 << (signal.SIGTERM - 1)):
            return
        time.sleep(0.01)


def undisturbed(here: Any, *arguments: str) -> bytes:
    done = here("tag", *(arguments or ("in",)), "-o", "whole.jsonl", *TINY)
    assert done.returncode == 1, done.stderr  # some of the inputs are bad on purpose
    whole: bytes = (here.folder / "whole.jsonl").read_bytes()
    return whole


def clean(sam: Any) -> Path:
    """A fresh folder for results; the file of results in it."""
    shutil.rmtree(sam.folder / "out", ignore_errors=True)
    (sam.folder / "out").mkdir()
    return Path(sam.folder / "out" / "tags.jsonl")


@pytest.mark.parametrize("files, kills", SLICE_OR_ALL)
def test_killed_at_any_moment_and_resumed(
    sam: Any, cold: Any, here: Any, fill: Callable[..., int], files: int, kills: int
) -> None:
    good = fill(sam.folder / "in", files)
    whole = undisturbed(here)
    assert len(whole.splitlines()) == files
    chance, killed, finished, out = random.Random(files), 0, 0, clean(sam)
    at: list[int] = []  # how many results were safe when it was killed
    began = time.monotonic()
    assert sam(*WORK).returncode == 1 and out.read_bytes() == whole
    warm, out = time.monotonic() - began, clean(sam)
    while killed < kills:
        loads = killed % 10 == 9  # its libraries, too
        running = (cold if loads else sam).start(*WORK, stdout=subprocess.DEVNULL)
        patience = Patience(out.with_name(".tags.jsonl.journal"), chance, warm + 2 * loads, good)
        patience.wait(running)
        running.kill()
        _, errors = running.communicate()
        if running.returncode == -signal.SIGKILL:
            killed += 1
            at.append(patience.lines())
            # A file of results is there whole or not at all, whatever the moment.
            assert not out.exists() or out.read_bytes() == whole
            if out.exists():
                finished, out = finished + 1, clean(sam)
        else:
            assert running.returncode == 1 and out.exists(), errors.decode()
            assert out.read_bytes() == whole
            finished, out = finished + 1, clean(sam)
    assert here(*WORK).returncode == 1
    assert out.read_bytes() == whole
    assert sorted(path.name for path in out.parent.iterdir()) == [".tags.jsonl.journal", "tags.jsonl"]
    print(f"{killed} kills, {finished + 1} finished runs over {files} files; safe at each kill: {at}")


@pytest.mark.parametrize(
    "number, code", [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
@pytest.mark.parametrize("files, times", SIGNALS_OR_ALL)
def test_asked_to_stop_at_any_moment_and_resumed(
    sam: Any, cold: Any, here: Any, fill: Callable[..., int], files: int, times: int, number: int, code: int
) -> None:
    good = fill(sam.folder / "in", files)
    whole = undisturbed(here)
    chance, stopped, finished, out = random.Random(number), 0, 0, clean(sam)
    while stopped < times:
        running = (cold if stopped % 10 == 9 else sam).start(*WORK, stdout=subprocess.DEVNULL)
        heeding(running)
        Patience(out.with_name(".tags.jsonl.journal"), chance, 1.0, good).wait(running)
        running.send_signal(number)
        _, errors = running.communicate(timeout=250)
        assert b"Traceback" not in errors and b"Exception" not in errors, errors.decode()
        found = out.read_bytes() if out.exists() else b""
        # When all is written, what is left of the process may be ended at once: to a shell that is 130 or 143 too.
        if running.returncode in (1, -number):
            assert found == whole
            finished, out = finished + 1, clean(sam)
        else:
            assert running.returncode == code, errors.decode()
            stopped += 1
            assert whole.startswith(found) and (found.endswith(b"\n") or not found), "whole records, in order"
    assert here(*WORK).returncode == 1
    assert out.read_bytes() == whole
    print(f"{stopped} stops, {finished + 1} finished runs over {files} files")


class Paused:
    """A run over a folder and standard input, which stays open: all files are done, and the run is not."""

    def __init__(self, sam: Any, here: Any, *more: str, done: int, **options: Any) -> None:
        self.here, self.out = here, Path(sam.folder / "out" / "tags.jsonl")
        arguments = ("tag", "in", "-", "-o", "out/tags.jsonl", "--threads", "2", "--batch-size", "1", *more, *TINY)
        self.running = sam.start(*arguments, stdin=subprocess.PIPE, **options)
        deadline = time.monotonic() + 250
        journal = self.out.with_name(".tags.jsonl.journal")
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= done):
            assert self.running.poll() is None and time.monotonic() < deadline, self.running.communicate()
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        """Let it come to its end: its exit code and what it said."""
        _, errors = self.running.communicate(b"", timeout=250)
        assert b"Traceback" not in errors
        return self.running.returncode, errors.decode()

    def again(self) -> bytes:
        """What the same command with --resume writes."""
        done = self.here("tag", "in", "-", "-o", "out/tags.jsonl", "--resume", *TINY)
        assert done.returncode == 1, done.stderr
        return self.out.read_bytes()


@pytest.fixture
def small(disk: Path) -> Callable[[int], Path]:
    """The disk under `out`, filled until so many bytes are left."""

    def leave(size: int) -> Path:
        ballast = disk / "ballast"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        ballast.write_bytes(bytes(max(0, free - size)))
        return ballast

    return leave


@pytest.fixture
def disk(sam: Any) -> Iterator[Path]:
    """A disk of one megabyte at `out`, where this system lets us have one."""
    place = sam.folder / "out"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.skipif(not shutil.which("mount"), reason="needs mount")
@pytest.mark.parametrize(
    "left", [pytest.param(0, marks=pytest.mark.slow), 4096, pytest.param(20_000, marks=pytest.mark.slow)]
)
def test_a_disk_that_is_full_at_any_point(
    sam: Any, here: Any, fill: Callable[..., int], small: Callable[[int], Path], left: int
) -> None:
    """Whatever did not fit is missing, not torn; with room made, --resume writes what an undisturbed run writes."""
    fill(sam.folder / "in", 40)
    whole = undisturbed(here)
    out = sam.folder / "out" / "tags.jsonl"
    out.write_text("what was there before\n")
    ballast = small(left)
    done = sam("tag", "in", "-o", "out/tags.jsonl", *TINY)
    said = done.stderr.decode()
    assert done.returncode == 4 and "out/" in said and "Traceback" not in said, said
    assert out.read_text() == "what was there before\n"
    ballast.unlink()
    assert here("tag", "in", "-o", "out/tags.jsonl", "--resume", *TINY).returncode == 1
    assert out.read_bytes() == whole


def without_privilege() -> None:
    """Even for root, a folder that may not be written to may not be written to."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_a_folder_that_becomes_read_only(sam: Any, here: Any, fill: Callable[..., int]) -> None:
    good = fill(sam.folder / "in", 40)
    whole = undisturbed(here, "in", "-")
    out = clean(sam)
    paused = Paused(sam, here, done=good, preexec_fn=without_privilege)
    out.parent.chmod(0o555)
    code, said = paused.end()
    assert code == 4 and "out/tags.jsonl" in said and "ermission" in said
    out.parent.chmod(0o755)
    assert paused.again() == whole


@pytest.mark.parametrize(
    "what", ["hidden", *(pytest.param(name, marks=pytest.mark.slow) for name in ("journal", "both", "old"))]
)
def test_results_that_are_deleted_while_they_are_made(sam: Any, here: Any, fill: Callable[..., int], what: str) -> None:
    good = fill(sam.folder / "in", 40)
    whole = undisturbed(here, "in", "-")
    out = clean(sam)
    out.write_text("old\n")
    paused = Paused(sam, here, done=good)
    names = {"hidden": [".tags.jsonl.part"], "journal": [".tags.jsonl.journal"], "old": ["tags.jsonl"]}
    names["both"] = names["hidden"] + names["journal"]
    for name in names[what]:
        (out.parent / name).unlink()
    code, said = paused.end()
    if code == 1:
        assert out.read_bytes() == whole
    else:
        assert code == 4 and "out/tags.jsonl" in said
        assert out.read_text() == "old\n"
    assert paused.again() == whole


@pytest.mark.slow
def test_a_folder_of_results_that_is_deleted(sam: Any, here: Any, fill: Callable[..., int]) -> None:
    good = fill(sam.folder / "in", 20)
    whole = undisturbed(here, "in", "-")
    out = clean(sam)
    paused = Paused(sam, here, done=good)
    shutil.rmtree(out.parent)
    code, said = paused.end()
    assert code in (1, 4) and "out/tags.jsonl" in said
    out.parent.mkdir(exist_ok=True)
    assert paused.again() == whole


def test_inputs_that_change_while_they_are_heard(sam: Any, here: Any, fill: Callable[..., int]) -> None:
    """Files that vanish, come, grow, become other sounds or folders: one record each, and --resume sees what is new."""
    folder = sam.folder / "in"
    good = fill(folder, 40)
    (sam.folder / "out").mkdir()
    paused = Paused(sam, here, done=good)
    (folder / "0001.wav").unlink()
    shutil.copy(folder / "0002.wav", folder / "0099.wav")
    (folder / "0003.wav").write_bytes((folder / "0004.wav").read_bytes())
    (folder / "0005.wav").unlink()
    (folder / "0005.wav").mkdir()
    with (folder / "0006.wav").open("ab") as file:
        file.write(b"\0" * 1000)
    (folder / "0007.wav").rename(folder / "0008.wav")
    code, _ = paused.end()
    assert code == 1
    paths = [json.loads(line)["path"] for line in paused.out.read_bytes().splitlines()]
    assert paths == [f"in/{number:04}.wav" for number in range(40)] + ["-"]
    again = paused.again()
    assert again == undisturbed(here, "in", "-")


@pytest.mark.parametrize("files", [60, pytest.param(3000, marks=pytest.mark.stress)])
def test_inputs_that_vanish_under_the_run(sam: Any, fill: Callable[..., int], files: int) -> None:
    """Deleted and replaced at random while it works: no crash, one record an input, every record whole."""
    folder = sam.folder / "in"
    fill(folder, files, seconds=0.1)
    out = clean(sam)
    said = sam.folder / "said"
    with said.open("wb") as stderr:  # more than a pipe holds
        running = sam.start("tag", "in", "-o", "out/tags.jsonl", *TINY, stderr=stderr)
    chance = random.Random(files)
    touched = set()
    while running.poll() is None:
        path = folder / f"{chance.randrange(files):04}.wav"
        touched.add(f"in/{path.name}")
        chance.choice((lambda p: p.unlink(missing_ok=True), lambda p: p.write_bytes(b"RIFF"), os.utime))(path)  # type: ignore[operator]
        time.sleep(0.02)
        if not path.exists():
            path.touch()
    errors = said.read_bytes()
    assert running.returncode == 1 and b"Traceback" not in errors, errors[-2000:]
    records = [json.loads(line) for line in out.read_bytes().splitlines()]
    told = [record["path"] for record in records]
    everything = [f"in/{number:04}.wav" for number in range(files)]
    assert told == [path for path in everything if path in told], "in order, and none twice"
    assert set(everything) - set(told) <= touched, "only what was away when the folder was read is no input"
    assert all((record["error"] is None) != (record["tags"] is None) for record in records)
