"""Memory does not grow: not with the length of a recording, nor with the number of files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

PYTHONPATH = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
PROGRAM = """
import resource, sys, time
from toy import Toy
from samcli.engine.inputs.find import find_inputs
from samcli.engine.options import RunOptions, RunReport
from samcli.tasks.run import run

began, first, count, report = time.monotonic(), None, 0, RunReport()
options = RunOptions(segment=10.0 if sys.argv[3] == "segments" else None)
for record in run(sys.argv[2], find_inputs([sys.argv[1]]), Toy(), options, report=report):
    first = first or time.monotonic() - began
    count += 1
    assert record.error is None
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak, count, report.audio_seconds, first, report.elapsed)
"""


def measure(path: Path, task: str, how: str = "") -> tuple[float, int, float, float]:
    """Peak memory in kB, records, seconds of audio, and seconds to the first record."""
    command = [sys.executable, "-c", PROGRAM, str(path), task, how]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "PYTHONPATH": PYTHONPATH}
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=280).stdout
    peak, count, seconds, first, _ = output.split()
    return float(peak), int(count), float(seconds), float(first)


def recording(path: Path, minutes: int) -> Path:
    minute = (np.random.default_rng(0).standard_normal(60 * 16_000) * 3000).astype(np.int16)
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16") as file:
        for _ in range(minutes):
            file.write(minute)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("task", "how"), [("tag", ""), ("caption", ""), ("caption", "segments")])
def test_three_hours_take_the_memory_of_a_minute(tmp_path: Path, task: str, how: str) -> None:
    short, _, seconds, _ = measure(recording(tmp_path / "short.wav", 1), task, how)
    assert seconds == 60
    long, count, seconds, _ = measure(recording(tmp_path / "long.wav", 180), task, how)
    assert seconds == 3 * 3600
    assert count == (1080 if how else 1)
    assert long / short <= 1.15


@pytest.mark.slow
@pytest.mark.parametrize("task", ["tag", "caption"])
def test_twenty_thousand_files_take_the_memory_of_two_hundred(tmp_path: Path, task: str) -> None:
    peaks = []
    for count in (200, 20_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            if number % 200 == 0:  # links: another name is another input, and the disk stays small
                first = recording_of_a_second(folder / f"{number:05}.wav", number)
            else:
                os.link(first, folder / f"{number:05}.wav")
        peak, records, seconds, first_record = measure(folder, task)
        assert (records, seconds) == (count, count)
        assert first_record < 5
        peaks.append(peak)
    assert peaks[1] / peaks[0] <= 1.15


def recording_of_a_second(path: Path, seed: int) -> Path:
    wave = (np.random.default_rng(seed).standard_normal(16_000) * 3000).astype(np.int16)
    soundfile.write(path, wave, 16_000)
    return path
