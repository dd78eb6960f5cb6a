"""Whole files that many readers get wrong: junk around the sound, headers that lie or say nothing, glued files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from samcli.audio import open_sound, read_sound

RATE = 16_000


def seconds_read(path: Path) -> tuple[np.ndarray, Any]:
    with open_sound(path) as reader:
        wave = np.concatenate(list(reader))
    return wave, reader


def strip_first_frame(mp3: bytes) -> bytes:
    """Remove the MPEG-1 layer III frame that tells the length (the first one, behind any ID3 tag)."""
    at = 0
    if mp3[:3] == b"ID3":
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(mp3[6:10], (21, 14, 7, 0), strict=True))
    assert mp3[at] == 0xFF
    assert any(mark in mp3[at : at + 200] for mark in (b"Xing", b"Info"))
    kilobits = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[mp3[at + 2] >> 4]
    rate = (44_100, 48_000, 32_000)[(mp3[at + 2] >> 2) & 3]
    return mp3[at + 144_000 * kilobits // rate + ((mp3[at + 2] >> 1) & 1) :]


@pytest.fixture
def mp3(tmp_path: Path, voice: Any) -> bytes:
    """Four seconds at a variable bit rate: loud noise, then near silence, so that no average rate describes it."""
    wave = voice(4.0, 44_100)[:, 0]
    wave[: 2 * 44_100] += np.random.default_rng(0).uniform(-0.3, 0.3, 2 * 44_100).astype(np.float32)
    wave[2 * 44_100 :] *= 0.01
    soundfile.write(tmp_path / "v.mp3", wave, 44_100, format="MP3", bitrate_mode="VARIABLE", compression_level=0.2)
    return (tmp_path / "v.mp3").read_bytes()


def test_mp3_with_a_variable_rate_and_no_header(tmp_path: Path, mp3: bytes) -> None:
    path = tmp_path / "bare.mp3"
    path.write_bytes(strip_first_frame(mp3))
    heard, reader = seconds_read(path)
    assert reader.covered == pytest.approx(4.0, abs=0.1)
    assert reader.duration == reader.covered
    assert reader.warning is None, "a guessed length is no promise"
    assert heard.size == pytest.approx(4 * RATE, abs=0.1 * RATE)


@pytest.mark.parametrize("junk", ["one tag", "two tags", "a picture in a tag", "noise", "zeros", "a tag at the end"])
def test_mp3_with_junk_around_it(tmp_path: Path, mp3: bytes, junk: str) -> None:
    def tag(content: bytes) -> bytes:
        size = bytes((len(content) >> shift) & 0x7F for shift in (21, 14, 7, 0))
        return b"ID3\x03\x00\x00" + size + content

    rubbish = np.random.default_rng(1).bytes(5000)
    picture = b"APIC" + struct.pack(">I", 300_000) + b"\0\0" + b"\0image/jpeg\0\3\0" + rubbish * 60
    before = {
        "one tag": tag(rubbish),
        "two tags": tag(rubbish) + tag(b"\0" * 333),
        "a picture in a tag": tag(picture),
        "noise": rubbish,
        "zeros": bytes(5000),
        "a tag at the end": b"",
    }[junk]
    after = b"TAG" + b"x" * 125 if junk == "a tag at the end" else b""
    path = tmp_path / "junk.mp3"
    path.write_bytes(before + mp3 + after)
    heard, reader = seconds_read(path)
    assert heard.size == pytest.approx(4 * RATE, abs=0.1 * RATE)
    assert reader.source_rate == 44_100


def test_nothing_is_lost_behind_a_first_stream(tmp_path: Path, voice: Any, mp3: bytes) -> None:
    """Files glued together, as recorders of internet radio write them: both parts are heard."""
    for subtype in ("VORBIS", "OPUS"):
        soundfile.write(tmp_path / "a.ogg", voice(2.0, 48_000, 2), 48_000, format="OGG", subtype=subtype)
        soundfile.write(tmp_path / "b.ogg", voice(3.0, 48_000, 2), 48_000, format="OGG", subtype=subtype)
        (tmp_path / "c.ogg").write_bytes((tmp_path / "a.ogg").read_bytes() + (tmp_path / "b.ogg").read_bytes())
        assert read_sound(tmp_path / "c.ogg").size == pytest.approx(5.0 * RATE, abs=0.1 * RATE)
    (tmp_path / "twice.mp3").write_bytes(mp3 + mp3)
    assert read_sound(tmp_path / "twice.mp3").size == pytest.approx(8.0 * RATE, abs=0.3 * RATE)


def test_a_rate_that_changes_on_the_way(tmp_path: Path, voice: Any, encode: Any, compare: Any) -> None:
    first = encode(tmp_path / "a.aac", "adts", "aac", voice(2.0, 44_100), 44_100).read_bytes()
    second = encode(tmp_path / "b.aac", "adts", "aac", voice(2.0, 22_050), 22_050).read_bytes()
    (tmp_path / "both.aac").write_bytes(first + second)
    heard, reader = seconds_read(tmp_path / "both.aac")
    assert reader.covered == pytest.approx(4.0, abs=0.3)
    second_alone = read_sound(tmp_path / "b.aac")
    lag, likeness = compare(heard[-second_alone.size :], second_alone)
    assert abs(lag) < 200
    assert likeness > 0.98, "the second part keeps its pitch"


def test_a_flac_that_changes_its_rate_keeps_its_pitch(tmp_path: Path, voice: Any, compare: Any) -> None:
    parts = []
    for rate in (RATE, 32_000):
        soundfile.write(tmp_path / "part.flac", voice(20.0, rate)[:, 0], rate)
        data = (tmp_path / "part.flac").read_bytes()
        start = data.index(b"\xff\xf8", 42)
        parts.append((data[:start], data[start:]))
    head = bytearray(parts[0][0])
    head[21] &= 0xF0
    head[22:26] = bytes(4)  # as it is sent, nobody knows how long it will be
    (tmp_path / "sent.flac").write_bytes(bytes(head) + parts[0][1] + parts[1][1])
    heard, reader = seconds_read(tmp_path / "sent.flac")
    assert reader.covered == pytest.approx(40.0, abs=0.01)
    for part in (heard[: 20 * RATE], heard[20 * RATE :]):
        lag, likeness = compare(part, voice(20.0, RATE)[:, 0])
        assert abs(lag) < 20
        assert likeness > 0.99


def pcm_header(data_size: int, riff_size: int) -> bytes:
    shape = struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", riff_size) + b"WAVEfmt " + shape + b"data" + struct.pack("<I", data_size)


@pytest.mark.parametrize(
    ("data_size", "riff_size"),
    [(0, 0), (0, 36), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF000, 0x7FFFF024), (0x80000000, 0x80000024)],
)
def test_wav_whose_size_was_never_filled_in(tmp_path: Path, voice: Any, data_size: int, riff_size: int) -> None:
    """What a pipe or a recorder that lost its power leaves behind: all of it is read, and nothing is missing."""
    wave = voice(1.0, RATE)[:, 0]
    path = tmp_path / "open.wav"
    path.write_bytes(pcm_header(data_size, riff_size) + (wave * 32767).astype("<i2").tobytes())
    heard, reader = seconds_read(path)
    np.testing.assert_allclose(heard, wave, atol=1e-4)
    assert reader.warning is None


def test_flac_that_does_not_say_its_length(tmp_path: Path, voice: Any) -> None:
    wave = voice(20.0, RATE)[:, 0]
    soundfile.write(tmp_path / "a.flac", wave, RATE)
    flac = bytearray((tmp_path / "a.flac").read_bytes())
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(flac)
    heard, reader = seconds_read(tmp_path / "a.flac")
    np.testing.assert_allclose(heard, wave, atol=1e-4)
    assert reader.warning is None
    assert reader.duration == 20.0


@pytest.mark.parametrize("claimed", [5.0, 4.9999375, 19.9])
@pytest.mark.parametrize("seconds", [20.0, 60.0])
def test_flac_that_claims_too_little_is_heard_whole(tmp_path: Path, voice: Any, claimed: float, seconds: float) -> None:
    wave = voice(seconds, RATE)[:, 0]
    path = tmp_path / "a.flac"
    soundfile.write(path, wave, RATE)
    flac = bytearray(path.read_bytes())
    flac[22:26] = round(claimed * RATE).to_bytes(4, "big")
    path.write_bytes(flac)
    heard, reader = seconds_read(path)
    np.testing.assert_allclose(heard, wave, atol=1e-4)
    assert reader.warning is None
    assert (reader.covered, reader.duration) == (seconds, seconds)


def test_flac_that_claims_too_much_is_told_of(tmp_path: Path, voice: Any) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, voice(5.0, RATE)[:, 0], RATE)
    flac = bytearray(path.read_bytes())
    flac[22:26] = (8 * RATE).to_bytes(4, "big")
    path.write_bytes(flac)
    _, reader = seconds_read(path)
    assert (reader.covered, reader.duration) == (5.0, 8.0)
    assert "5.00 of 8.00 seconds" in reader.warning


def laced_matroska(wave: np.ndarray, frames: int, size: int) -> bytes:
    """PCM in a Matroska that stamps one frame of several, as lacing does, and says nothing of a frame's length."""

    def element(name: str, *content: bytes) -> bytes:
        body = b"".join(content)
        return bytes.fromhex(name) + (1 << 56 | len(body)).to_bytes(8, "big") + body

    head = element("1a45dfa3", element("4282", b"matroska"), element("4287", b"\x04"), element("4285", b"\x02"))
    audio = element("e1", element("b5", struct.pack(">d", RATE)), element("9f", b"\x01"), element("6264", b"\x10"))
    names = element("d7", b"\x01"), element("73c5", b"\x01"), element("83", b"\x02"), element("86", b"A_PCM/INT/LIT")
    tracks = element("1654ae6b", element("ae", *names, audio))
    samples = (wave * 32767).astype("<i2")
    clusters = []
    for at in range(0, len(wave), frames * size):
        stamp = element("e7", (at * 1000 // RATE).to_bytes(4, "big"))
        laced = bytes([0x81, 0, 0, 0x84, frames - 1]) + samples[at : at + frames * size].tobytes()
        clusters.append(element("1f43b675", stamp, element("a3", laced)))
    return head + element("18538067", tracks, *clusters)


def test_frames_without_stamps_are_no_pauses(tmp_path: Path, voice: Any) -> None:
    wave = voice(8.0, RATE)[:, 0]
    path = tmp_path / "laced.mka"
    path.write_bytes(laced_matroska(wave, 8, 2000))
    heard, reader = seconds_read(path)
    np.testing.assert_allclose(heard, wave, atol=1e-4)
    assert reader.warning is None


def test_pauses_without_samples_are_told_of(tmp_path: Path, voice: Any) -> None:
    """A recorder that stops and goes on leaves a hole in the time stamps; the times that follow are early by it."""
    import av

    path = tmp_path / "paused.webm"
    wave = voice(4.0, 48_000)
    with av.open(str(path), "w", format="webm") as out:
        sound = out.add_stream("libopus", rate=48_000, layout="mono")
        for at in range(0, len(wave) - 960, 960):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[at : at + 960].T), "flt", "mono")
            frame.sample_rate = 48_000
            frame.pts = at + (3 * 48_000 if at >= 2 * 48_000 else 0)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    _, reader = seconds_read(path)
    assert reader.covered == pytest.approx(4.0, abs=0.1)
    assert "pauses for 3.0 seconds" in reader.warning


def test_big_endian_and_other_rare_headers(tmp_path: Path, voice: Any) -> None:
    wave = voice(1.0, RATE)[:, 0]
    soundfile.write(tmp_path / "rifx.wav", wave, RATE, format="WAV", endian="BIG")
    assert (tmp_path / "rifx.wav").read_bytes()[:4] == b"RIFX"
    soundfile.write(tmp_path / "sowt.aifc", wave, RATE, format="AIFF", endian="LITTLE")
    soundfile.write(tmp_path / "little.au", wave, RATE, format="AU", endian="LITTLE")
    for name in ("rifx.wav", "sowt.aifc", "little.au"):
        heard, reader = seconds_read(tmp_path / name)
        np.testing.assert_allclose(heard, wave, atol=1e-4)
        assert reader.warning is None
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        _, reader = seconds_read(tmp_path / name)
        assert reader.duration == pytest.approx(1.0, abs=1e-3)
