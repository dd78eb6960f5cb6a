"""How fast a folder becomes records: from files on disk to the last record, with the real engine and a real model.

Every row has its limit beside it: what the model alone can do on the same clips, what `import torch` alone costs, the
memory of a small run. Ratios are within one call on one machine. Speeds leave the loading of the model out; memory
and cold starts are those of fresh processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samcli.bench.core import Row, row

if TYPE_CHECKING:
    from samcli.engine.options import RunOptions, RunReport
    from samcli.models.interface import SoundModel

RATE = 16_000
SPEED = "s/s"  # seconds of sound per second


def bench_folder(quick: bool, model: str = "sam-nano", device: str = "cpu") -> list[Row]:
    """Rows of name, value, unit, limit, ratio, target; `quick` takes under a minute, otherwise some minutes."""
    import torch

    from samcli.checkpoints.loading import load_model
    from samcli.models.device import pick_device

    device = pick_device(device)
    card = device != "cpu"
    hearer = load_model(model, device=device, dtype=None if card else torch.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = make_clips(folder / "clips", 32 if quick else 200, 10.0, ("wav", "mp3"))
        heard = _copies(clips, folder / "copies", 20) if card else clips  # a card is through with a few in no time
        rows = [*_speeds(hearer, heard), *_batching(hearer, folder, 60 if quick else 400)]
        if not card:
            rows += _half_precision(model, clips, rows[0]["value"])
        command = [sys.executable, "-m", "samcli", "tag", "--model", model, "--device", device, "-f", "jsonl"]
        rows.append(_cold_start(command, next(clips.glob("*.wav")), 1 if quick else 5))
        rows += _long(folder, command, hearer, 9 if quick else 180, 3 if quick else 10)
        rows += _many(folder, command, 1_000 if quick else 20_000)
    return rows


def _copies(clips: Path, folder: Path, times: int) -> Path:
    """Each clip so many times, as links: another name is another input, and the disk stays small."""
    folder.mkdir()
    for number in range(times):
        for clip in sorted(clips.iterdir()):
            os.link(clip, folder / f"{number:03}-{clip.name}")
    return folder


def make_clips(folder: Path, count: int, seconds: float, suffixes: tuple[str, ...]) -> Path:
    """Sound files that no two are alike, in turn of each kind."""
    import soundfile

    folder.mkdir(parents=True)
    for number in range(count):
        wave = _sound(seconds, number)
        soundfile.write(folder / f"{number:05}.{suffixes[number % len(suffixes)]}", wave, RATE)
    return folder


def _sound(seconds: float, seed: int) -> NDArray[np.float32]:
    """Noise of some colour with a gliding tone: what it is does not matter to speed, that it is not silent does."""
    chance = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.convolve(chance.standard_normal(len(times)), np.exp(-np.arange(24) / chance.uniform(0.5, 8)), "same")
    tone = np.sin(2 * np.pi * (chance.uniform(100, 2000) * times + 20 * np.sin(times)))
    wave: NDArray[np.float32] = (0.05 * noise + 0.2 * tone).astype(np.float32)
    return wave


def hear(task: str, path: Path, model: SoundModel, options: RunOptions | None = None) -> RunReport:
    """Run once; how it went."""
    from samcli.engine.inputs.find import find_inputs
    from samcli.engine.options import RunReport
    from samcli.tasks.run import run

    report = RunReport()
    for record in run(task, find_inputs([path]), model, options, report=report):
        if record.error is not None:
            raise RuntimeError(record.error.message)
    return report


def _best(work: Callable[[], RunReport], rounds: int = 2) -> RunReport:
    """The fastest of a few: what others did on the machine meanwhile is not the program's."""
    work()
    return min((work() for _ in range(rounds)), key=lambda report: report.elapsed)


def _speeds(model: SoundModel, clips: Path) -> list[Row]:
    rows = []
    share = 1.0
    for task, target in (("tag", 250.0), ("caption", 100.0)):
        if task not in model.tasks:
            continue
        report = _best(lambda task=task: hear(task, clips, model))  # type: ignore[misc]
        speed = report.audio_seconds / report.elapsed
        rows.append(row(f"{task}, clips of 10 s", speed, SPEED, report.audio_seconds / report.model_seconds, target))
        share = min(share, report.model_share)
    rows.append(row("share of the time the model computes", share, "", 1.0, 0.85))
    return rows


def _batching(model: SoundModel, folder: Path, count: int) -> list[Row]:
    from samcli.engine.options import RunOptions

    clips = make_clips(folder / "short", count, 1.0, ("wav",))
    rows = []
    for task in sorted(model.tasks & {"tag", "caption"}):
        auto = _best(lambda task=task: hear(task, clips, model))  # type: ignore[misc]
        single = _best(lambda task=task: hear(task, clips, model, RunOptions(batch_size=1)), 1)  # type: ignore[misc]
        speeds = [report.audio_seconds / report.elapsed for report in (auto, single)]
        rows.append(
            row(f"{task}, clips of 1 s, in batches over one by one", speeds[0], SPEED, speeds[1], 3 * speeds[1])
        )
    return rows


def _half_precision(model: str, clips: Path, speed: float) -> list[Row]:
    """What `--dtype bfloat16` gains, where the processor multiplies such numbers itself."""
    import torch

    from samcli.checkpoints.loading import load_model

    if not getattr(torch.cpu, "_is_avx512_bf16_supported", bool)():
        return []
    half = load_model(model, device="cpu", dtype=torch.bfloat16)
    report = _best(lambda: hear("tag", clips, half))
    return [row("tag, bfloat16 over float32", report.audio_seconds / report.elapsed, SPEED, speed, None)]


def _cold_start(command: list[str], clip: Path, rounds: int) -> Row:
    """Wall time of one file in a fresh process, against the time `import torch` alone takes."""
    ours = [*command, str(clip)]
    torch = [sys.executable, "-c", "import torch"]
    _process(torch), _process(ours)
    limit = 1.6 * median(_process(torch)[0] for _ in range(rounds)) + 1.0
    return row("cold start, tag one file", median(_process(ours)[0] for _ in range(rounds)), "s", limit, limit)


# A process counts the memory of the one that started it as its own peak: this small one stands between.
BETWEEN = """
import subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
except ImportError:
    peak = float("nan")
print(peak)
sys.exit(code)
"""


def _process(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak megabytes of a process."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", BETWEEN, *command], capture_output=True, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return seconds, float(done.stdout)


def _peak(path: Path, command: list[str], task: str = "tag") -> float:
    return _process([task if word == "tag" else word for word in command] + [str(path)])[1]


def _long(folder: Path, command: list[str], hearer: SoundModel, minutes: int, middle: int) -> list[Row]:
    """A long recording against a minute (memory) and against `middle` minutes (time)."""
    paths = {length: _recording(folder / f"{length}.wav", length) for length in (1, middle, minutes)}
    rows = []
    for task in sorted(hearer.tasks & {"tag", "caption"}):
        small, large = (_peak(paths[length], command, task) for length in (1, minutes))
        rows.append(row(f"{task}, peak of {minutes} minutes over 1", large, "MB", small, 1.15 * small))
        before, long, after = (hear(task, paths[n], hearer).elapsed / n * 60 for n in (middle, minutes, middle))
        limit = (before + after) / 2  # what a shared machine's pace was meanwhile
        rows.append(row(f"{task}, an hour in {minutes} minutes over one in {middle}", long, "s", limit, 1.1 * limit))
    return rows


def _recording(path: Path, minutes: int) -> Path:
    import soundfile

    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for number in range(minutes):
            file.write(_sound(60.0, number % 7))
    return path


def _many(folder: Path, command: list[str], count: int) -> list[Row]:
    """Thousands of short files against two hundred (memory), and the wait for the first record."""
    few = make_clips(folder / "few", 200, 1.0, ("wav",))
    many = _copies(few, folder / "many", count // 200)
    peaks = [_peak(path, command) for path in (few, many)]
    rows = [row(f"tag, peak of {count} files over 200", peaks[1], "MB", peaks[0], 1.15 * peaks[0])]
    rows.append(row(f"first record of {count} files", _first_record(many, command), "s", None, 5.0))
    return rows


def _first_record(path: Path, command: list[str]) -> float:
    """From the start of a fresh process."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    start = time.perf_counter()
    with subprocess.Popen(
        [*command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.kill()
    if not line:
        raise RuntimeError("no record came")
    return seconds
