"""Every way in which a file can be no good, and the plain sentence each one gets."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from samcli.audio import open_sound, read_sound
from samcli.errors import InputError

RATE = 16_000


def refusal(sound: Any) -> InputError:
    with pytest.raises(InputError) as caught, open_sound(sound) as reader:
        for _ in reader:
            pass
    message = str(caught.value)
    assert message.endswith("."), "a sentence"
    assert "\n" not in message
    return caught.value


def listen(path: Any) -> Any:
    with open_sound(path) as reader:
        heard = sum(block.size for block in reader)
    assert heard == pytest.approx(reader.covered * RATE, abs=1)
    return reader


@pytest.fixture
def wav(tmp_path: Path, voice: Any) -> Path:
    path = tmp_path / "good.wav"
    soundfile.write(path, voice(4.0, RATE)[:, 0], RATE)
    return path


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    error = refusal(tmp_path / "x.wav")
    assert error.kind == "empty"
    assert "x.wav" in str(error)
    assert refusal(io.BytesIO()).kind == "empty"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.wav", b"Remember the milk.\n" * 500),
        ("short.wav", b"x"),
        ("page.mp3", b"<!doctype html><html><body>404 Not Found</body></html>"),
        ("zeros.flac", bytes(200_000)),
        ("picture.ogg", b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde" + bytes(100)),
        ("archive.m4a", b"PK\x03\x04" + bytes(range(256)) * 20),
        ("noise.wav", np.random.default_rng(3).bytes(100_000)),
        ("subtitles.wav", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n"),
    ],
)
def test_something_else_by_the_name_of_a_sound(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path / name)
    assert error.kind == "not-audio"
    assert name in str(error)


def test_a_playlist_opens_no_other_file(tmp_path: Path, wav: Path, voice: Any, encode: Any) -> None:
    """Scripts that a media library would follow to other files or addresses are not sounds."""
    inner = encode(tmp_path / "inner.aac", "adts", "aac", voice(1.0, 44_100), 44_100)
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n"
    (tmp_path / "list.m3u8").write_text(f"{head}{inner}\n#EXT-X-ENDLIST\n")
    (tmp_path / "script.wav").write_text(f"ffconcat version 1.0\nfile {wav}\n")
    assert refusal(tmp_path / "list.m3u8").kind == "not-audio"
    assert refusal(tmp_path / "script.wav").kind == "not-audio"


def test_no_audio_stream(tmp_path: Path, encode: Any) -> None:
    for suffix, container in (("mp4", "mp4"), ("mkv", "matroska")):
        path = encode(tmp_path / f"silent.{suffix}", container, "", np.zeros((0, 1)), RATE, video_seconds=1.0)
        assert refusal(path).kind == "no-audio-stream"


@pytest.mark.parametrize("format", ["WAV", "AIFF", "AU", "CAF", "W64", "RF64"])
def test_no_samples(tmp_path: Path, format: str) -> None:
    soundfile.write(tmp_path / "x", np.zeros(0, np.float32), RATE, format=format)
    assert refusal(tmp_path / "x").kind == "no-samples"


@pytest.mark.parametrize("rate", [1, 100, 3_999])
@pytest.mark.parametrize("format", ["WAV", "FLAC"])
def test_rates_that_are_no_sound(tmp_path: Path, rate: int, format: str) -> None:
    """A few bytes must not stand for hours: at 100 samples a second, 4 kB of FLAC did for 54."""
    soundfile.write(tmp_path / "slow", np.zeros(5_000, np.float32), rate, format=format)
    error = refusal(tmp_path / "slow")
    assert error.kind == "not-audio"
    assert f"claims {rate:,} samples a second" in str(error)
    assert "4,000" in str(error)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize(("channels", "rate"), [(1, RATE), (2, 44_100)])
def test_samples_that_are_not_numbers(tmp_path: Path, voice: Any, bad: float, channels: int, rate: int) -> None:
    wave = voice(3.0, rate, channels)
    wave[2 * rate, -1] = bad
    soundfile.write(tmp_path / "x.wav", wave, rate, subtype="FLOAT")
    error = refusal(tmp_path / "x.wav")
    assert error.kind == "non-finite"
    assert "2.000 seconds" in str(error)


def test_loud_floats_are_kept(tmp_path: Path, voice: Any) -> None:
    soundfile.write(tmp_path / "x.wav", voice(1.0, RATE) * 32768, RATE, subtype="FLOAT")
    assert np.abs(read_sound(tmp_path / "x.wav")).max() > 5000


def test_names_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "x.wav").mkdir()
    assert refusal(tmp_path / "x.wav").kind == "not-a-file"
    assert "folder" in str(refusal(tmp_path / "x.wav"))
    assert refusal("/dev/null").kind == "not-a-file"
    assert refusal(tmp_path / "gone.wav").kind == "vanished"
    assert refusal(tmp_path / "gone" / "x.wav").kind == "vanished"
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    assert refusal(tmp_path / "loop.wav").kind == "unreadable"
    assert refusal(tmp_path / ("x" * 300)).kind == "unreadable"
    assert refusal("a\0b.wav").kind == "unreadable"


@pytest.mark.timeout(20)
def test_a_pipe_by_name_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.wav")
    error = refusal(tmp_path / "x.wav")
    assert error.kind == "not-a-file"
    assert "pipe" in str(error)


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """As root every file may be read, so for a moment be someone else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_permission_denied(wav: Path) -> None:
    wav.chmod(0)
    with nobody():
        error = refusal(wav)
    assert error.kind == "permission"
    assert "permission denied" in str(error)
    wav.chmod(0o644)
    wav.parent.chmod(0)
    try:
        with nobody():
            assert refusal(wav).kind == "permission"
    finally:
        wav.parent.chmod(0o755)


def test_odd_names(tmp_path: Path, wav: Path) -> None:
    for name in (b"a b.wav", b"new\nline.wav", b"quo\"te'.wav", b"\xff\xfe.wav", "日本語.wav".encode(), b"-x.raw"):
        path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 (bytes)
        Path(os.fsdecode(path)).write_bytes(wav.read_bytes())
        assert listen(path).covered == 4.0
        assert listen(os.fsdecode(path)).covered == 4.0
    broken = os.path.join(os.fsencode(tmp_path), b"bad\n\xff.wav")  # noqa: PTH118 (bytes)
    Path(os.fsdecode(broken)).write_bytes(b"no sound")
    assert "bad\\n\\udcff.wav" in str(refusal(broken))


def test_an_impossible_rate(tmp_path: Path, wav: Path) -> None:
    data = bytearray(wav.read_bytes())
    for rate in (1, 2_000_000_000):
        data[24:28] = struct.pack("<I", rate)
        (tmp_path / "x.wav").write_bytes(data)
        assert refusal(tmp_path / "x.wav").kind in ("not-audio", "truncated")


def test_nothing_is_printed_and_no_file_stays_open(
    tmp_path: Path, voice: Any, encode: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Decoding libraries like to complain on standard error; here they may not, whatever they are given."""
    wave = voice(4.0, 44_100, 2)
    good = [
        encode(tmp_path / "a.mp3", "mp3", "libmp3lame", wave, 44_100),
        encode(tmp_path / "a.m4a", "ipod", "aac", wave, 44_100),
        encode(tmp_path / "a.flac", "flac", "flac", wave, 44_100),
    ]
    soundfile.write(tmp_path / "a.ogg", wave, 44_100)
    soundfile.write(tmp_path / "a.wav", wave, 44_100)
    good += [tmp_path / "a.ogg", tmp_path / "a.wav"]
    descriptors = Path("/proc/self/fd")
    files_before = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    random = np.random.default_rng(0)
    for path in good:
        whole = path.read_bytes()
        for damage in range(12):
            data = bytearray(whole)
            for _ in range(damage):
                at = int(random.integers(len(data)))
                data[at : at + 40] = random.bytes(40)
            bad = tmp_path / f"bad{path.suffix}"
            bad.write_bytes(data[: len(data) - damage * 1000])
            with contextlib.suppress(InputError), open_sound(bad) as reader:
                for _ in reader:
                    pass
    if files_before:
        assert len(list(descriptors.iterdir())) <= files_before
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("missing", ["av", "soundfile"])
def test_a_machine_without_one_of_the_decoders(
    wav: Path, tmp_path: Path, voice: Any, encode: Any, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    m4a = encode(tmp_path / "a.m4a", "ipod", "aac", voice(1.0, 44_100), 44_100)
    (tmp_path / "notes.wav").write_text("no sound at all")
    monkeypatch.setitem(sys.modules, missing, None)  # importing it fails, as where it is not installed
    assert listen(wav).covered == 4.0, "either of them reads this"
    if missing == "av":
        assert "'av'" in str(refusal(m4a))
        assert refusal(m4a).kind == "no-decoder"
    else:
        assert listen(m4a).covered == pytest.approx(1.0, abs=0.1)
    assert "package" in str(refusal(tmp_path / "notes.wav"))
