"""Pipes: the samples of the file, as they come, and nothing of the past kept."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from samcli.audio.decode import read_sound
from samcli.audio.flow import Flow, open_flow
from samcli.audio.pcm import RawSound, open_raw
from samcli.errors import InputError, UsageError

RATE = 16_000
DEMO = Path(__file__).resolve().parents[2] / "samcli" / "data" / "demo"


def piped(data: bytes, stays_open: bool = False) -> BinaryIO:
    """The reading end of a pipe into which this is written, in small bites."""
    ours, theirs = os.pipe()

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError):  # whoever reads may go away
            for at in range(0, len(data), 1000):
                os.write(theirs, data[at : at + 1000])
        if not stays_open:
            os.close(theirs)

    threading.Thread(target=feed, daemon=True).start()
    return os.fdopen(ours, "rb")


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "opus"])
def test_a_pipe_holds_what_the_file_holds(format: str, tmp_path: Path) -> None:
    wave = np.random.default_rng(1).standard_normal((RATE * 3, 2)).astype(np.float32) * 0.1
    path = tmp_path / f"a.{format}"
    soundfile.write(path, wave, RATE, format="OGG" if format == "opus" else None, subtype=None)
    with open_flow(piped(path.read_bytes()), RATE) as reader:
        heard = np.concatenate(list(reader))
        assert reader.duration == reader.covered == pytest.approx(3.0, abs=0.1) and reader.warning is None
    whole = read_sound(path, RATE)
    assert 0 <= len(heard) - len(whole) < (RATE // 20 if format == "mp3" else 1)
    assert np.allclose(heard[: len(whole)], whole, atol=1e-6)


def test_blocks_come_before_the_end() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.full(RATE * 5, 0.1, np.float32), RATE, format="WAV", subtype="PCM_16")
    with piped(file.getvalue(), stays_open=True) as reading, open_flow(reading, RATE) as reader:
        assert len(next(iter(reader))) == RATE // 10


def test_what_has_its_index_last_is_gathered(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    command = ["ffmpeg", "-loglevel", "error", "-i", DEMO / "dog.opus", "-c:a", "aac", "-movflags", "-faststart", path]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        pytest.skip("ffmpeg is not installed")
    with open_flow(piped(path.read_bytes()), RATE) as reader:
        assert np.allclose(np.concatenate(list(reader)), read_sound(path, RATE), atol=1e-6)


@pytest.mark.parametrize(("data", "kind"), [(b"", "empty"), (b"no sound at all, only words" * 99, "not-audio")])
def test_what_is_no_sound(data: bytes, kind: str) -> None:
    with pytest.raises(InputError) as caught:
        open_flow(piped(data), RATE)
    assert caught.value.kind == kind


def test_nothing_is_kept_once_sound_has_come() -> None:
    flow = Flow(piped(bytes(range(256)) * 100))
    assert flow.read(4) == bytes(range(4)) and flow.seek(0) == 0 and flow.seek(10**6) == flow.seek(0, 2) == -1
    flow.sound()
    read = b""
    while data := flow.read(777):
        read += data
    assert read == bytes(range(256)) * 100 and flow.seek(0) == -1 and flow._kept is None


@pytest.mark.parametrize("kind", ["u8", "s8", "s16le", "s16be", "s24le", "s32le", "f32le", "f64le"])
def test_bare_samples(kind: str) -> None:
    wave = (np.random.default_rng(2).standard_normal((RATE, 2)) * 0.1).clip(-0.9, 0.9)
    scale = {"u8": 2**7, "s8": 2**7, "s16le": 2**15, "s16be": 2**15, "s24le": 2**23, "s32le": 2**31}.get(kind, 1)
    types = {"u8": "u1", "s8": "i1", "s16le": "<i2", "s16be": ">i2", "s24le": "<i4", "s32le": "<i4", "f32le": "<f4"}
    values = wave * scale + (128 if kind == "u8" else 0)
    data = values.astype(types.get(kind, "<f8")).tobytes()
    if kind == "s24le":
        data = np.frombuffer(data, np.uint8).reshape(-1, 4)[:, :3].tobytes()
    with open_raw(piped(data), RawSound.parse(f"{kind}:{RATE}:2"), RATE) as reader:
        heard = np.concatenate(list(reader))
    assert np.allclose(heard, wave.mean(1), atol=max(2 / scale if scale > 1 else 0.0, 1e-6)) and reader.covered == 1.0


def test_half_a_sample_is_told() -> None:
    with open_raw(piped(bytes(RATE * 2 + 1)), RawSound.parse("s16le:16000"), RATE) as reader:
        assert sum(map(len, reader)) == RATE
    assert "last 1 bytes" in (reader.warning or "")


@pytest.mark.parametrize("text", ["", "s16le", "s17le:16000:1", "s16le:1:1", "s16le:16000:0", "s16le:16000:1:1", "a:b"])
def test_what_no_samples_are_like(text: str) -> None:
    with pytest.raises(UsageError):
        RawSound.parse(text)
