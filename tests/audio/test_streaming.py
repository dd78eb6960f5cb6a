"""Any way of cutting a reading gives what one pass gives, and memory does not know how long the sound is."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samcli.audio import open_sound, read_sound
from samcli.audio.waves import Resampler, level_db, regroup

RATE = 16_000
ROOT = Path(__file__).resolve().parents[2]


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def pieces(wave: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    edges = [0, *sorted(min(at, wave.size) for at in cuts), wave.size]
    return [wave[a:b] for a, b in pairwise(edges)]


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60_000), max_size=10),
    samples=st.integers(0, 60_000),
    rate=st.sampled_from([4_000, 8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 384_000, 12_345]),
)
def test_resampling_in_pieces_equals_one_pass(cuts: list[int], samples: int, rate: int) -> None:
    wave = noise(samples, samples)
    resampler = Resampler(rate, RATE)
    streamed = np.concatenate([*(resampler.push(piece) for piece in pieces(wave, cuts)), resampler.finish()])
    whole = soxr.resample(wave, rate, RATE, quality="HQ") if samples else wave
    assert streamed.dtype == np.float32
    assert abs(streamed.size - samples * RATE / rate) <= 1
    assert streamed.shape == whole.shape
    np.testing.assert_allclose(streamed, whole, atol=1e-5)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, voice: Any, encode: Any) -> dict[str, Path]:
    """The same eleven seconds in five formats, some needing a change of rate, some of channels."""
    folder = tmp_path_factory.mktemp("library")
    files = {name: folder / f"a.{name}" for name in ("wav", "flac", "ogg", "mp3", "m4a")}
    soundfile.write(files["wav"], voice(11.3, 44_100, 2), 44_100, subtype="FLOAT")
    soundfile.write(files["flac"], voice(11.3, RATE, 1), RATE)
    soundfile.write(files["ogg"], voice(11.3, 48_000, 2), 48_000)
    encode(files["mp3"], "mp3", "libmp3lame", voice(11.3, 44_100, 2), 44_100)
    encode(files["m4a"], "ipod", "aac", voice(11.3, 32_000, 1), 32_000)
    return files


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    block_seconds=st.one_of(st.floats(0.003, 0.5), st.floats(0.5, 20.0)),
    name=st.sampled_from(["wav", "flac", "ogg", "mp3", "m4a"]),
)
def test_any_block_size_gives_the_same_samples(library: dict[str, Path], block_seconds: float, name: str) -> None:
    whole = read_sound(library[name])
    with open_sound(library[name], block_seconds=block_seconds) as reader:
        blocks = list(reader)
    size = max(1, round(block_seconds * RATE))
    assert all(block.size == size for block in blocks[:-1])
    assert 0 < blocks[-1].size <= size
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert reader.covered == reader.duration


@pytest.mark.parametrize("name", ["wav", "flac", "ogg"])
def test_reading_equals_a_whole_decode_and_one_resampling(library: dict[str, Path], name: str) -> None:
    data, rate = soundfile.read(library[name], dtype="float32", always_2d=True)
    mono = data.mean(axis=1)
    expected = mono if rate == RATE else soxr.resample(mono, rate, RATE, quality="HQ")
    heard = read_sound(library[name])
    assert heard.shape == expected.shape
    # Two Vorbis decoders round differently; everything else is exact.
    np.testing.assert_allclose(heard, expected, atol=1e-4 if name == "ogg" else 1e-5)


def test_times_and_lengths_along_the_way(library: dict[str, Path]) -> None:
    with open_sound(library["wav"], block_seconds=2.0) as reader:
        assert reader.duration == pytest.approx(11.3)
        assert (reader.covered, reader.warning) == (0.0, None)
        for number, _ in enumerate(reader, start=1):
            assert reader.covered == pytest.approx(min(2.0 * number, 11.3), abs=1e-4)
        assert list(reader) == [], "a sound is read once"
    with open_sound(library["mp3"], block_seconds=2.0) as reader:
        next(iter(reader))
        assert reader.covered == 2.0, "what was delivered, not what was decoded"


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 100_000), max_size=10),
    samples=st.integers(0, 100_000),
    size=st.sampled_from([1600, 11_200, RATE, 160_000]),
)
def test_blocks_of_one_size_do_not_depend_on_those_before(cuts: list[int], samples: int, size: int) -> None:
    wave = noise(samples, samples)
    blocks = list(regroup(pieces(wave, cuts), size))
    assert len(blocks) == -(-samples // size)
    for number, block in enumerate(blocks):
        np.testing.assert_array_equal(block, wave[number * size : (number + 1) * size])


def test_blocks_own_their_samples() -> None:
    block = np.zeros(RATE, np.float32)

    def reusing() -> Iterator[np.ndarray]:
        for number in range(4):
            block[:] = number
            yield block

    blocks = list(regroup(reusing(), 2 * RATE))
    assert [(float(one[0]), float(one[-1])) for one in blocks] == [(0.0, 1.0), (2.0, 3.0)]


def test_levels() -> None:
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    assert level_db(tone) == pytest.approx(-3.01, abs=0.01)
    assert level_db(tone * 0.1) == pytest.approx(-23.01, abs=0.01)
    assert level_db(tone * 0.1 + 0.5) == pytest.approx(-23.01, abs=0.01), "an offset is not sound"
    assert level_db(np.zeros(RATE, np.float32)) == -120.0
    assert level_db(np.zeros(0, np.float32)) == -120.0


def sparse_recording(path: Path, seconds: int, rate: int = 48_000, channels: int = 2) -> None:
    """An RF64 file that occupies almost no disk: silence with a beep in its last second."""
    frame = 2 * channels
    size = seconds * rate * frame
    shape = struct.pack("<HHIIHH", 1, channels, rate, rate * frame, frame, 16)
    sizes = struct.pack("<QQQI", size + 72, size, seconds * rate, 0)
    head = b"RF64\xff\xff\xff\xffWAVEds64" + struct.pack("<I", len(sizes)) + sizes
    head += b"fmt " + struct.pack("<I", len(shape)) + shape + b"data\xff\xff\xff\xff"
    beep = (np.sin(np.arange(rate) * 0.1) * 10_000).astype("<i2").repeat(channels)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
        file.seek(len(head) + size - beep.nbytes)
        file.write(beep.tobytes())


LISTENER = """
import resource, sys
from samcli.audio import open_sound
from samcli.audio.waves import levels_db
loud, at = [], 0.0
with open_sound(sys.argv[1]) as reader:
    for block in reader:
        loud, at = loud + [at] * bool(levels_db(block).max() >= -60), reader.covered
print(reader.covered, reader.duration, reader.warning, loud, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_eight_hours_take_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    """Five and a half gigabytes of RF64, sparse on disk; the beep at its very end is heard at its time."""
    peaks = {}
    for seconds in (60, 8 * 3600):
        path = tmp_path / f"{seconds}.wav"
        sparse_recording(path, seconds)
        command = [sys.executable, "-c", LISTENER, str(path)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=True)
        covered, duration, warning, *loud, peak = done.stdout.split()
        assert (float(covered), float(duration), warning) == (seconds, seconds, "None")
        assert loud == [f"[{float(seconds - 10)}]"]
        assert done.stderr == ""
        peaks[seconds] = int(peak) / 1024
        path.unlink()
    assert peaks[8 * 3600] < peaks[60] + 16, f"megabytes at the peak: {peaks}"


@pytest.mark.stress
@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_fuzzed_files_are_read_or_refused(library: dict[str, Path], tmp_path: Path, name: str) -> None:
    """Whatever is flipped, cut or put in: blocks of numbers or one InputError, never anything else."""
    from samcli.errors import InputError

    whole = library[name].read_bytes()
    random = np.random.default_rng(len(whole))
    for _ in range(150):
        data = bytearray(whole[: int(random.integers(1, len(whole) + 1))] if random.random() < 0.5 else whole)
        reach = len(data) if random.random() < 0.3 else min(len(data), 200)  # headers break more than sound does
        for at in random.integers(0, reach, int(random.integers(0, 20))):
            data[at] = int(random.integers(256))
        path = tmp_path / "fuzzed"
        path.write_bytes(data)
        try:
            with open_sound(path) as reader:
                for block in reader:
                    assert np.isfinite(block).all()
                assert reader.duration is not None
                assert 0 <= reader.covered <= reader.duration
        except InputError as error:
            assert error.kind


def test_reading_sound_needs_no_torch(library: dict[str, Path]) -> None:
    """Decoders run in threads and processes that have no use for the model's libraries."""
    script = "import sys; from samcli.audio import read_sound; read_sound(sys.argv[1]); print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, str(library["m4a"])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
