"""Much at once: a very long file, very many files, many processes, little memory. A clear error or slower, never wrong.

python -m pytest tests/stress/test_load.py -m stress     # 8 hours, 100,000 files, 50 processes, 1 GB
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.checkpoints.conftest import Client
from tests.checkpoints.hub_server import HubServer, Repo
from tests.nursery import Nursery

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--model", "tiny-random", "--device", "cpu")
RATE = 16_000
FULL = [pytest.mark.stress, pytest.mark.timeout(14_000)]
MEGABYTE = 2**20


def measured(sam: Any, *arguments: str, **options: Any) -> tuple[subprocess.CompletedProcess[bytes], float]:
    """What a run gave, and its peak of memory in MB."""
    running = sam.start(*arguments, stdin=subprocess.DEVNULL, **options)
    peaks = [0.0]

    def watch() -> None:
        # The kernel's own account of a finished child begins with the memory of the process that started it.
        while running.poll() is None:
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{running.pid}/status").read_text()
                peaks.extend(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    stdout, stderr = running.communicate()
    watcher.join()
    return subprocess.CompletedProcess(arguments, running.returncode, stdout, stderr), max(peaks)


def long_recording(path: Path, hours: float) -> None:
    """RF64, for it is more than 4 GB: noise that comes back every half hour, and holes that cost no disk."""
    samples = round(hours * 3600 * RATE)
    size = samples * 2
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, size + 72, size, samples, 0)
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
    head = b"RF64" + struct.pack("<I", 0xFFFF_FFFF) + b"WAVE" + ds64 + form + b"data" + struct.pack("<I", 0xFFFF_FFFF)
    noise = (np.random.default_rng(1).standard_normal(20 * RATE) * 2000).astype("<i2")
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
        for start in range(0, samples - noise.size, 1800 * RATE):
            file.seek(len(head) + start * 2)
            file.write(noise.tobytes())


@pytest.mark.parametrize("hours", [0.51, pytest.param(8.0, marks=FULL)])
def test_a_very_long_file(sam: Any, hours: float) -> None:
    """All of it is heard, at the right times, in little memory."""
    long_recording(sam.folder / "day.wav", hours)
    run, peak = measured(sam, "tag", "day.wav", "--segment", "60", "-f", "jsonl", "--threshold", "0", *TINY)
    assert run.returncode == 0, run.stderr
    records = [json.loads(line) for line in run.stdout.splitlines()]
    assert [record["start"] for record in records] == [60.0 * minute for minute in range(len(records))]
    assert records[-1]["end"] == records[-1]["duration"] == pytest.approx(hours * 3600, abs=0.01)
    loud = [record["start"] for record in records if not record["silent"]]
    assert loud == [1800.0 * half for half in range(len(loud))] and len(loud) == int(hours * 2 - 0.01) + 1
    scores = {json.dumps(record["tags"]) for record in records if not record["silent"]}
    assert len(scores) == 1, "the same sound at another hour is the same sound"
    assert peak < 800, f"{peak:.0f} MB"
    print(f"{hours} hours in {peak:.0f} MB")


def many(sam: Any, folder: str, count: int) -> None:
    """So many files, a thousand a folder: names for fifty, of which two are no sound."""
    files = sorted((sam.folder / "few").iterdir())
    for number in range(count):
        place = sam.folder / folder / f"{number // 1000:03}"
        place.mkdir(parents=True, exist_ok=True)
        os.link(files[number % 50], place / f"{number:06}.wav")


@pytest.mark.parametrize("count", [120, pytest.param(100_000, marks=FULL)])
def test_very_many_files(sam: Any, here: Any, fill: Callable[..., int], count: int) -> None:
    """A record for each, in order; memory grows by little more than the names."""
    fill(sam.folder / "few", 50, seconds=0.1)
    many(sam, "in", count)
    began = time.monotonic()
    run, peak = measured(sam, "tag", "in", "-o", "tags.jsonl", "--resume", "--top-k", "1", *TINY)
    took = time.monotonic() - began
    assert run.returncode == 1, run.stderr[-1000:]
    first: dict[str, Any] = {}
    with (sam.folder / "tags.jsonl").open() as file:
        for number, line in enumerate(file):
            record = json.loads(line)
            assert record["path"] == f"in/{number // 1000:03}/{number:06}.wav"
            said = json.dumps([[tag["label"] for tag in record["tags"] or ()], record["duration"]])
            assert first.setdefault(str(number % 50), said) == said, "the same bytes, the same record"
    assert number == count - 1
    assert peak < 700 + count * 0.004, f"{peak:.0f} MB"
    again = here("tag", "in", "-o", "tags.csv", "--resume", "--top-k", "1", "--verbose", *TINY)
    known = sum(number % 50 not in (17, 33) for number in range(count))
    assert f"{known} files were known".encode() in again.stderr
    print(f"{count} files in {peak:.0f} MB and {took:.0f} s")
    if count > 1000:
        many(sam, "fewer", 1000)
        run, usual = measured(sam, "tag", "fewer", "-o", "fewer.jsonl", "--top-k", "1", *TINY)
        assert run.returncode == 1, run.stderr[-1000:]
        print(f"1000 files in {usual:.0f} MB")
        assert peak < usual + 50 + count * 0.003, f"{peak:.0f} MB for {count} files, {usual:.0f} MB for 1000"


FIXTURE = ROOT / "tests" / "fixtures" / "dass_hf" / "weights.safetensors"
CONFIG = {"model_type": "dass", "id2label": {str(number): name for number, name in enumerate("ABCDEFG")}}


@pytest.fixture
def hub(tmp_path: Path) -> Any:
    server = HubServer()
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": FIXTURE.read_bytes()}
    server.repos["org/tagger"] = Repo(files)
    yield server
    server.stop()


@pytest.mark.parametrize("count", [pytest.param(4, marks=pytest.mark.slow), pytest.param(50, marks=FULL)])
def test_many_processes_share_a_cache(
    hub: HubServer, tmp_path: Path, make_wav: Callable[..., Path], nursery: Nursery, count: int
) -> None:
    """All begin with an empty cache at once: the weights are fetched once, and everyone's records are the same.

    Four are whole programs. Fifty are forks of one that has its libraries loaded: they come to the cache closer
    together, and do not ask for ten gigabytes.
    """
    client = Client(hub, tmp_path / "home")
    client.home.mkdir()
    sound = make_wav(tmp_path / "a.wav", seconds=1.0)
    asked = ("tag", str(sound), "--model", "org/tagger", "--device", "cpu", "-f", "jsonl")
    environment = client.environment(OMP_NUM_THREADS="1")

    def start() -> Any:
        if count > 10:
            return nursery.start(asked, tmp_path, environment)
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-m", "samcli", *asked], env=environment, **pipes)

    running = [start() for _ in range(count)]
    ended = [(*process.communicate(timeout=3000), process.returncode) for process in running]
    done = [(code, output, errors) for output, errors, code in ended]
    assert [code for code, _, _ in done] == [0] * count, [errors for code, _, errors in done if code][:1]
    assert len({output for _, output, _ in done}) == 1 and json.loads(done[0][1])["model"] == "org/tagger"
    assert len(hub.seen("signature", "GET")) == 1
    assert not [name for name in client.cache_files() if "incomplete" in name]
    alone = subprocess.run(
        [sys.executable, "-m", "samcli", *asked, "--offline"], env=environment, capture_output=True, timeout=300
    )
    assert (alone.returncode, alone.stdout) == (0, done[0][1]), "the cache they leave serves the next"
    print(f"{count} processes, {len(client.cache_files())} files in the cache")


def virtual(sam: Any) -> int:
    """Bytes of address space that the program takes to tag one short sound."""
    script = (
        "import re, sys; sys.argv = ['sam', 'tag', 'a.wav', '-q', *sys.argv[1:]]; from samcli.cli import main; main();"
        "sys.stderr.write(re.search(r'VmPeak:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    environment = sam.environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script, *NANO], cwd=sam.folder, env=environment, capture_output=True, timeout=250
    )
    return int(done.stderr) * 1024


NANO = ("--model", "sam-nano", "--device", "cpu", "--threads", "2")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured through /proc")
@pytest.mark.parametrize("free", [
    pytest.param(150, id="150 MB", marks=pytest.mark.slow),
    pytest.param(1024, id="1 GB", marks=FULL),
    *(pytest.param(size, id=f"{size} MB", marks=FULL) for size in (20, 60, 400)),
])  # fmt: skip
def test_little_memory(sam: Any, make_wav: Callable[..., Path], free: int) -> None:
    """With so much left beyond what a short sound takes, and batches that ask for far more: the same records, or an
    error that speaks of memory."""
    for number in range(48):
        make_wav(sam.folder / "in" / f"{number:02}.wav", seconds=10.0, pitch=200 + 20 * number, seed=number)
    make_wav(sam.folder / "a.wav", seconds=0.5)
    limit = virtual(sam) + free * MEGABYTE

    def scarce() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    plenty = sam("tag", "in", "-f", "jsonl", "--threshold", "0", *NANO)
    assert plenty.returncode == 0
    tight = sam("tag", "in", "-f", "jsonl", "--threshold", "0", "--batch-size", "48", *NANO, preexec_fn=scarce)
    said = tight.stderr.decode()
    assert "Traceback" not in said and tight.returncode in (0, 1, 3), said
    expected = {record["path"]: record for record in map(json.loads, plenty.stdout.splitlines())}
    records = [json.loads(line) for line in tight.stdout.splitlines()]
    for record in records:
        if record["error"] is not None:
            assert record["error"]["type"] == "memory", record["error"]
            continue
        wanted = {tag["label"]: tag["score"] for tag in expected[record["path"]]["tags"]}
        assert {tag["label"]: tag["score"] for tag in record["tags"]} == pytest.approx(wanted, abs=1e-4)
    if tight.returncode == 3:
        assert "memory" in said
    else:
        assert [record["path"] for record in records] == list(expected)
    heard = sum(record["error"] is None for record in records)
    print(f"{free} MB: exit code {tight.returncode}, {heard} of 48 heard; {said[-200:]}")
