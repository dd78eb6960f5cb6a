"""Files with stretches that hold no sound: they cost neither memory nor time, and what is sound in them is heard."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from samcli.audio import open_sound, read_sound
from samcli.errors import InputError

RATE = 16_000
ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1 << 20

KINDS = {  # suffix: container, code, rate
    "mp3": ("mp3", "libmp3lame", 44_100),
    "mp2": ("mp2", "mp2", 44_100),
    "ac3": ("ac3", "ac3", 48_000),
    "aac": ("adts", "aac", 44_100),
    "flac": ("flac", "flac", 44_100),
    "flv": ("flv", "aac", 44_100),
}

LISTENER = """
import resource, sys
from samcli.audio import open_sound
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def listen(path):
    with open_sound(path) as reader:
        for block in reader: pass
    return reader
whole, tails = sys.argv[1].split(":"), sys.argv[2].split(":")
for path in whole: listen(path)
for path in tails:
    before = peak()
    reader = listen(path)
    print(peak() - before, reader.covered, reader.warning)
"""


@pytest.fixture
def sound(tmp_path: Path, voice: Any, encode: Any) -> Any:
    def make(kind: str, seconds: float = 3.0) -> bytes:
        container, code, rate = KINDS[kind]
        path: Path = encode(tmp_path / f"whole.{kind}", container, code, voice(seconds, rate), rate)
        return path.read_bytes()

    return make


class Counting(io.RawIOBase):
    """A file that knows how much was asked of it."""

    def __init__(self, path: Path) -> None:
        self.file, self.bytes, self.seeks = path.open("rb"), 0, 0

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.bytes += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self.seeks += 1
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True


KINDS_WITH_TAILS = ("mp3", "mp2", "ac3", "aac", "flac")


@pytest.mark.parametrize("filling", ["zeros", "ones", "text"])
def test_memory_does_not_grow_with_a_tail(tmp_path: Path, sound: Any, filling: str) -> None:
    """A hundred megabytes once took two hundred of memory, and more than that for every hundred more."""
    for kind in KINDS_WITH_TAILS:
        data = sound(kind)
        with (tmp_path / f"tail.{kind}").open("wb") as file:
            file.write(data)
            line = {"zeros": b"", "ones": b"\xff", "text": b"Remember the milk.\n"}[filling]
            for _ in range(40):
                file.write(line * (MEGABYTE // max(1, len(line))))
            if filling == "zeros":
                file.truncate(len(data) + 150 * MEGABYTE)  # takes no room on the disk
    names = (":".join(str(tmp_path / f"{name}.{kind}") for kind in KINDS_WITH_TAILS) for name in ("whole", "tail"))
    command = [sys.executable, "-c", LISTENER, *names]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    for kind, line in zip(KINDS_WITH_TAILS, done.stdout.splitlines(), strict=True):
        growth, covered, warning = line.split(" ", 2)
        assert int(growth) < 48, f"megabytes for {kind}"
        assert float(covered) == pytest.approx(3.0, abs=0.1), kind
        assert warning != "None", kind


@pytest.mark.parametrize("kind", ["mp3", "mp2", "ac3", "flac"])
def test_sound_on_both_sides_of_a_hole_is_heard(tmp_path: Path, sound: Any, compare: Any, kind: str) -> None:
    data = sound(kind, 6.0)
    path = tmp_path / "hole"
    path.write_bytes(data[: len(data) // 2] + bytes(30 * MEGABYTE) + data[len(data) // 2 :])
    with open_sound(Counting(path)) as reader:
        heard = np.concatenate(list(reader))
    assert reader.covered == pytest.approx(6.0, abs=0.4)
    assert reader.warning is not None
    meant = read_sound(tmp_path / f"whole.{kind}")
    assert compare(heard[: 2 * RATE], meant[: 2 * RATE])[1] > 0.99
    assert compare(heard[-2 * RATE :], meant[-2 * RATE :])[1] > 0.99


def test_a_tail_is_told_of_in_bytes(tmp_path: Path, sound: Any) -> None:
    path = tmp_path / "tail.mp3"
    data = sound("mp3")
    path.write_bytes(data)
    os.truncate(path, len(data) + 90_000_000)
    with open_sound(path) as reader:
        assert reader.duration == pytest.approx(3.0, abs=0.1), "the header says it; the size of the file does not"
        for _ in reader:
            pass
    assert reader.warning is not None
    assert re.search("(89|90) MB of the file hold no sound", reader.warning)


@pytest.mark.parametrize(("kind", "most"), [("flv", 80), ("mp3", 540)])
def test_no_tail_is_searched_for_ever(tmp_path: Path, sound: Any, kind: str, most: int) -> None:
    path = tmp_path / "tail"
    data = sound(kind)
    path.write_bytes(data)
    os.truncate(path, len(data) + 3000 * MEGABYTE)
    file = Counting(path)
    with open_sound(file) as reader:
        for _ in reader:
            pass
    assert file.bytes < most * MEGABYTE
    assert reader.covered == pytest.approx(3.0, abs=0.1)
    assert reader.warning is not None
    assert "were not searched" in reader.warning


def test_a_header_full_of_empty_chunks_ends(tmp_path: Path) -> None:
    """Zeros read as chunks without a name and without content, eight bytes each: a gigabyte took minutes."""
    whole = io.BytesIO()
    soundfile.write(whole, np.zeros(RATE, np.float32), RATE, format="WAV")
    path = tmp_path / "empty.wav"
    path.write_bytes(whole.getvalue()[:12] + bytes(8 * MEGABYTE) + whole.getvalue()[12:])
    file = Counting(path)
    with pytest.raises(InputError) as caught, open_sound(file):
        pass
    assert caught.value.kind == "truncated"
    assert file.seeks < 600_000


def test_large_pictures_in_front_of_the_sound_are_no_hole(tmp_path: Path, sound: Any) -> None:
    """A white picture is one value over and over, and so is the room that taggers leave."""
    white = b"\xff" * (15 * MEGABYTE)
    frame = b"APIC" + struct.pack(">I", len(white) + 14) + b"\0\0" + b"\0image/bmp\0\3\0\0" + white
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    (tmp_path / "a.mp3").write_bytes(b"ID3\x03\x00\x00" + size + frame + sound("mp3"))
    data = sound("flac")
    padding = b"\x01" + (16 * MEGABYTE - 1).to_bytes(3, "big") + bytes(16 * MEGABYTE - 1)
    (tmp_path / "a.flac").write_bytes(data[:42] + padding + data[42:])  # behind the block that comes first
    for name in ("a.mp3", "a.flac"):
        with open_sound(tmp_path / name) as reader:
            for _ in reader:
                pass
        assert reader.covered == pytest.approx(3.0, abs=0.1), name
        assert reader.warning is None, name
