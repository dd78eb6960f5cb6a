"""Files cut short, damaged, deleted or failing while they are read: what is there is heard, what is missing is told."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from samcli.audio import open_sound, read_sound
from samcli.errors import InputError
from tests.audio.test_bad_inputs import listen, refusal

RATE = 16_000


CUT_PCM = [
    ("WAV", "PCM_16"),
    ("WAV", "DOUBLE"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
]


@pytest.mark.parametrize(("format", "subtype"), CUT_PCM)
@pytest.mark.parametrize("share", [0.3, 0.97])
def test_cut_short_uncompressed(tmp_path: Path, voice: Any, format: str, subtype: str, share: float) -> None:
    path = tmp_path / "x"
    wave = voice(4.0, RATE)[:, 0]
    soundfile.write(path, wave, RATE, format=format, subtype=subtype)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    reader = listen(path)
    assert reader.covered == pytest.approx(4.0 * share, abs=0.15)
    assert reader.duration == pytest.approx(4.0, abs=1e-3)
    assert reader.covered < reader.duration
    assert f"{reader.covered:.2f} of 4.00 seconds" in reader.warning
    kept = read_sound(path)
    np.testing.assert_allclose(kept, wave[: kept.size], atol=1e-4)


def test_a_loss_too_small_for_seconds_is_told_in_samples(tmp_path: Path, voice: Any) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, voice(7.0, RATE)[:, 0], RATE)
    path.write_bytes(path.read_bytes()[:-6])
    reader = listen(path)
    assert reader.warning == "Cut short or damaged: 3 of 112,000 samples could not be read."


def test_an_absurd_claim_is_doubted(tmp_path: Path, voice: Any) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, voice(0.5, RATE)[:, 0], RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + (0xB000_0000).to_bytes(4, "little") + whole[44:])
    reader = listen(path)
    claim = "it claims 26 hours, and 0.50 seconds could be read."
    assert reader.warning == f"Cut short, or its header is wrong: {claim}"


def test_a_cut_wma_is_held_against_its_header(tmp_path: Path, voice: Any, encode: Any) -> None:
    """FFmpeg goes by the size of the file as soon as that differs from what the header says."""
    path = encode(tmp_path / "a.wma", "asf", "wmav2", voice(6.0, 44_100), 44_100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    reader = listen(path)
    assert 3.0 < reader.covered < 4.0
    assert reader.duration == pytest.approx(6.0, abs=0.1)
    assert "of 6.0" in reader.warning


@pytest.mark.parametrize("size", [20, 44, 45])
def test_cut_within_the_header(tmp_path: Path, voice: Any, size: int) -> None:
    wav = tmp_path / "good.wav"
    soundfile.write(wav, voice(4.0, RATE), RATE)
    (tmp_path / "x.wav").write_bytes(wav.read_bytes()[:size])
    error = refusal(tmp_path / "x.wav")
    assert error.kind == "truncated"
    assert "WAV" in str(error)


@pytest.mark.parametrize(("format", "at"), [("W64", 40), ("CAF", 12), ("RF64", 16), ("AIFF", 16)])
def test_a_chunk_that_claims_an_absurd_size(
    tmp_path: Path, voice: Any, format: str, at: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    soundfile.write(path, voice(1.0, RATE), RATE, format=format)
    whole = bytearray(path.read_bytes())
    width = 8 if format in ("W64", "CAF") else 4
    for byte in (0x7F, 0xFF):
        whole[at : at + width] = bytes([byte]) * width
        path.write_bytes(whole)
        try:
            assert listen(path).covered <= 1.0
        except InputError as error:
            assert error.kind in ("truncated", "not-audio", "no-audio-stream", "no-samples")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_cut_short_compressed(tmp_path: Path, voice: Any, encode: Any) -> None:
    wave = voice(6.0, 44_100, 2)
    files = [
        encode(tmp_path / "a.mp3", "mp3", "libmp3lame", wave, 44_100),
        encode(tmp_path / "a.flac", "flac", "flac", wave, 44_100),
        encode(tmp_path / "a.mkv", "matroska", "aac", wave, 44_100),
        encode(tmp_path / "a.webm", "webm", "libopus", voice(6.0, 48_000, 2), 48_000),
        encode(tmp_path / "film.mkv", "matroska", "aac", wave, 44_100, video_seconds=6.0),
        encode(tmp_path / "early.m4a", "ipod", "aac", wave, 44_100, {"movflags": "faststart"}),
        encode(tmp_path / "film.mp4", "mp4", "aac", wave, 44_100, {"movflags": "faststart"}, 6.0),
    ]
    for path in files:
        whole = path.read_bytes()
        assert listen(path).warning is None, path.name
        path.write_bytes(whole[: int(len(whole) * 0.6)])
        reader = listen(path)
        assert 1.0 < reader.covered < 5.5, path.name
        assert reader.duration == pytest.approx(6.0, abs=0.1), path.name
        assert "of 6.0" in reader.warning, path.name


def test_cut_short_with_its_index_at_the_end(tmp_path: Path, voice: Any, encode: Any) -> None:
    path = encode(tmp_path / "late.m4a", "ipod", "aac", voice(6.0, 44_100), 44_100)
    path.write_bytes(path.read_bytes()[:-3000])
    error = refusal(path)
    assert error.kind == "truncated"
    assert "MP4" in str(error)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_cut_short_ogg(tmp_path: Path, voice: Any, subtype: str) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, voice(6.0, 48_000), 48_000, format="OGG", subtype=subtype)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    reader = listen(path)
    assert 1.0 < reader.covered < 5.0
    assert "end of the file is missing" in reader.warning


@pytest.mark.parametrize("seconds", [6.0, 60.0])
def test_damage_in_the_middle_does_not_end_a_flac(tmp_path: Path, voice: Any, seconds: float) -> None:
    """libsndfile stops at the damage; what comes after it is read all the same, and what comes before is exact."""
    path = tmp_path / "a.flac"
    wave = voice(seconds, RATE)[:, 0]
    soundfile.write(path, wave, RATE)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 300] = np.random.default_rng(0).bytes(300)
    path.write_bytes(damaged)
    reader = listen(path)
    assert seconds - 1.5 < reader.covered < seconds
    assert reader.duration == seconds
    assert reader.warning is not None
    heard = read_sound(path)
    early = round(seconds * RATE * 0.4)
    np.testing.assert_allclose(heard[:early], wave[:early], atol=1e-4)
    np.testing.assert_allclose(heard[-early:], wave[-early:], atol=1e-4)


def test_damage_in_the_middle_of_an_mp3(tmp_path: Path, voice: Any, encode: Any) -> None:
    path = encode(tmp_path / "a.mp3", "mp3", "libmp3lame", voice(10.0, 44_100), 44_100)
    damaged = bytearray(path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(damaged)
    reader = listen(path)
    assert 9.0 < reader.covered < 10.1
    assert reader.warning is not None


def test_a_file_that_is_deleted_while_it_is_read(tmp_path: Path, voice: Any, encode: Any) -> None:
    """An open file stays readable: all of it is delivered."""
    soundfile.write(tmp_path / "a.wav", voice(30.0, RATE), RATE)
    encode(tmp_path / "a.mp3", "mp3", "libmp3lame", voice(30.0, 44_100), 44_100)
    for path in (tmp_path / "a.wav", tmp_path / "a.mp3"):
        with open_sound(path, block_seconds=1.0) as reader:
            next(iter(reader))
            path.unlink()
            rest = sum(block.size for block in reader)
        assert rest == pytest.approx(29 * RATE, abs=1)
        assert reader.covered == pytest.approx(30.0, abs=1e-3)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, voice: Any) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, voice(120.0, RATE), RATE)
    with open_sound(path, block_seconds=1.0) as reader:
        blocks = iter(reader)
        next(blocks)
        os.truncate(path, 44 + 50 * RATE * 2)
        for _ in blocks:
            pass
    assert reader.covered == pytest.approx(50.0, abs=0.1)
    assert reader.duration == 120.0
    assert "50.00 of 120.00" in reader.warning


class FailingDisk(io.BytesIO):
    """A file on a disk that fails in the middle of it."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > len(self.getbuffer()) // 2:
            raise OSError(5, "Input/output error")
        return super().read(size)

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def test_a_disk_that_fails(tmp_path: Path, voice: Any, encode: Any, capfd: pytest.CaptureFixture[str]) -> None:
    encode(tmp_path / "a.mp3", "mp3", "libmp3lame", voice(30.0, 44_100), 44_100, bit_rate=320_000)
    soundfile.write(tmp_path / "a.wav", voice(30.0, 44_100), 44_100)
    soundfile.write(tmp_path / "a.flac", voice(30.0, 44_100), 44_100)
    for name in ("a.mp3", "a.wav", "a.flac"):
        error = refusal(FailingDisk((tmp_path / name).read_bytes()))
        assert error.kind == "unreadable", name
        assert "input/output error" in str(error)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
