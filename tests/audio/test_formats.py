"""Every format, sample kind, channel count and rate that people have, written by real encoders and read back."""

from __future__ import annotations

import io
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


UNCOMPRESSED = [
    ("WAV", "PCM_U8", 2e-2),
    ("WAV", "PCM_16", 1e-4),
    ("WAV", "PCM_24", 1e-6),
    ("WAV", "PCM_32", 1e-6),
    ("WAV", "FLOAT", 1e-7),
    ("WAV", "DOUBLE", 1e-7),
    ("WAV", "ULAW", 2e-2),
    ("WAV", "ALAW", 2e-2),
    ("WAV", "IMA_ADPCM", 5e-2),
    ("WAV", "MS_ADPCM", 5e-2),
    ("WAVEX", "PCM_24", 1e-6),
    ("RF64", "PCM_16", 1e-4),
    ("W64", "PCM_24", 1e-6),
    ("AIFF", "PCM_S8", 2e-2),
    ("AIFF", "PCM_16", 1e-4),
    ("AIFF", "FLOAT", 1e-7),
    ("AU", "PCM_16", 1e-4),
    ("AU", "ULAW", 2e-2),
    ("CAF", "PCM_16", 1e-4),
    ("CAF", "DOUBLE", 1e-7),
    ("CAF", "ALAC_16", 1e-4),
    ("FLAC", "PCM_S8", 2e-2),
    ("FLAC", "PCM_16", 1e-4),
    ("FLAC", "PCM_24", 1e-6),
    ("VOC", "PCM_16", 1e-4),
    ("NIST", "PCM_16", 1e-4),
]


@pytest.mark.parametrize(("format", "subtype", "tolerance"), UNCOMPRESSED)
def test_uncompressed_and_lossless(tmp_path: Path, voice: Any, format: str, subtype: str, tolerance: float) -> None:
    wave = voice(1.5, RATE)[:, 0]
    path = tmp_path / "sound"  # no suffix: a format is told by its content
    soundfile.write(path, wave, RATE, format=format, subtype=subtype)
    heard, reader = seconds_read(path)
    if "ADPCM" in subtype:  # whole blocks: a little silence may follow
        heard = heard[: wave.size]
    assert heard.dtype == np.float32
    assert heard.shape == wave.shape
    assert np.abs(heard - wave).max() < tolerance
    assert reader.warning is None
    assert reader.covered == reader.duration
    assert (reader.source_rate, reader.channels) == (RATE, 1)


COMPRESSED = [  # suffix, container, code, rate, the most samples it may be off at 16 kHz
    ("m4a", "ipod", "aac", 44_100, 8),
    ("mp4", "mp4", "aac", 48_000, 8),
    ("mov", "mov", "alac", 44_100, 8),
    ("aac", "adts", "aac", 44_100, 800),  # bare frames do not say how much of the first is padding
    ("mp3", "mp3", "libmp3lame", 44_100, 8),
    ("mp2", "mp2", "mp2", 48_000, 400),
    ("webm", "webm", "libopus", 48_000, 8),
    ("opus", "ogg", "libopus", 48_000, 8),
    ("mka", "matroska", "aac", 44_100, 800),
    ("mkv", "matroska", "flac", 44_100, 8),
    ("wma", "asf", "wmav2", 44_100, 800),
    ("avi", "avi", "libmp3lame", 44_100, 1600),
    ("ac3", "ac3", "ac3", 48_000, 200),
    ("flac", "flac", "flac", 44_100, 8),
    ("wv", "wv", "wavpack", 44_100, 8),
    ("tta", "tta", "tta", 44_100, 8),
    ("ts", "mpegts", "aac", 48_000, 800),
]


@pytest.mark.parametrize(("suffix", "container", "code", "rate", "off"), COMPRESSED)
def test_compressed(
    tmp_path: Path, voice: Any, encode: Any, compare: Any, suffix: str, container: str, code: str, rate: int, off: int
) -> None:
    path = encode(tmp_path / f"sound.{suffix}", container, code, voice(3.0, rate, 2), rate)
    heard, reader = seconds_read(path)
    lag, likeness = compare(heard, voice(3.0, RATE, 2).mean(axis=1))
    assert abs(lag) <= off
    assert likeness > 0.99
    assert reader.warning is None
    assert reader.channels == 2
    assert reader.covered == pytest.approx(3.0, abs=0.2)
    assert reader.covered == reader.duration
    assert heard.size == pytest.approx(reader.covered * RATE, abs=1)


@pytest.mark.parametrize(("channels", "subtype"), [(1, "VORBIS"), (2, "VORBIS"), (1, "OPUS"), (2, "OPUS")])
def test_ogg(tmp_path: Path, voice: Any, compare: Any, channels: int, subtype: str) -> None:
    soundfile.write(tmp_path / "a.ogg", voice(3.0, 48_000, channels), 48_000, format="OGG", subtype=subtype)
    heard, reader = seconds_read(tmp_path / "a.ogg")
    lag, likeness = compare(heard, voice(3.0, RATE, channels).mean(axis=1))
    assert abs(lag) <= 1
    assert likeness > 0.99
    assert (heard.size, reader.covered, reader.duration, reader.warning) == (3 * RATE, 3.0, 3.0, None)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 17, 64])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    wave = np.random.default_rng(channels).uniform(-0.5, 0.5, (4000, channels)).astype(np.float32)
    path = tmp_path / "many.wav"
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    heard, reader = seconds_read(path)
    assert reader.channels == channels
    np.testing.assert_allclose(heard, wave.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000, 384_000])
def test_rates(tmp_path: Path, voice: Any, compare: Any, rate: int) -> None:
    path = tmp_path / "any.wav"
    soundfile.write(path, voice(2.0, rate)[:, 0], rate, subtype="FLOAT")
    heard, reader = seconds_read(path)
    assert reader.source_rate == rate
    assert (reader.duration, reader.covered, heard.size) == (2.0, 2.0, 2 * RATE)
    lag, likeness = compare(heard, voice(2.0, RATE)[:, 0])
    assert lag == 0
    assert likeness > 0.999


def test_another_rate_may_be_asked_for(tmp_path: Path, voice: Any) -> None:
    soundfile.write(tmp_path / "a.wav", voice(1.0, 48_000)[:, 0], 48_000)
    assert read_sound(tmp_path / "a.wav", rate=32_000).size == 32_000


def test_the_sound_of_a_film(tmp_path: Path, voice: Any, encode: Any) -> None:
    for suffix, container, code in (("mp4", "mp4", "aac"), ("mkv", "matroska", "aac"), ("avi", "avi", "libmp3lame")):
        path = encode(tmp_path / f"film.{suffix}", container, code, voice(2.0, 48_000), 48_000, video_seconds=5.0)
        heard, reader = seconds_read(path)
        assert heard.size == pytest.approx(2.0 * RATE, abs=0.1 * RATE)
        assert reader.warning is None, "a sound track shorter than its film is whole"


@pytest.mark.parametrize(
    ("container", "code", "layout"),
    [("ipod", "aac", "7.1"), ("matroska", "flac", "7.1"), ("matroska", "wavpack", "hexadecagonal")],
)
def test_eight_channels_and_more(tmp_path: Path, voice: Any, container: str, code: str, layout: str) -> None:
    """PyAV's own arrays die of eight planes and more: a film with 7.1 sound once ended the whole program."""
    import av

    wave = voice(1.0, 48_000)[:, 0]
    with av.open(str(tmp_path / "x"), "w", format=container) as out:
        stream = out.add_stream(code, rate=48_000, layout=layout)
        stream.codec_context.open()
        count, form = stream.codec_context.layout.nb_channels, stream.codec_context.format.name
        shares = np.linspace(0.5, 1.5, count, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray((wave[:, None] * shares).reshape(1, -1), "flt", layout)
        frame.rate, frame.pts = 48_000, 0
        size = stream.codec_context.frame_size or 1024
        convert = av.AudioResampler(format=form, layout=layout, rate=48_000, frame_size=size)
        for piece in [*convert.resample(frame), *convert.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    with open_sound(tmp_path / "x") as reader:
        heard = np.concatenate(list(reader))
    assert (reader.channels, reader.source_rate, reader.warning) == (count, 48_000, None)
    assert reader.covered == pytest.approx(1.0, abs=0.05)
    assert np.abs(heard).max() == pytest.approx(np.abs(wave).max(), rel=0.15)


def test_bytes_in_memory_and_through_a_pipe(tmp_path: Path, voice: Any, encode: Any) -> None:
    import os
    import threading

    path = encode(tmp_path / "a.m4a", "ipod", "aac", voice(2.0, 44_100), 44_100)
    by_name = read_sound(path)
    np.testing.assert_array_equal(read_sound(io.BytesIO(path.read_bytes())), by_name)
    with path.open("rb") as file:
        np.testing.assert_array_equal(read_sound(file), by_name)
        assert not file.closed, "the caller's file is the caller's to close"
    out, into = os.pipe()

    def pour() -> None:
        with os.fdopen(into, "wb") as pipe:
            pipe.write(path.read_bytes())

    thread = threading.Thread(target=pour)
    thread.start()
    with os.fdopen(out, "rb") as pipe:
        np.testing.assert_array_equal(read_sound(pipe), by_name)
    thread.join()


@pytest.mark.parametrize("samples", [1, 2, 3, 7])
@pytest.mark.parametrize("rate", [4_000, RATE, 384_000])
def test_hardly_any_sound(tmp_path: Path, samples: int, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(samples, 0.5), rate)
    heard, reader = seconds_read_or_nothing(tmp_path / "a.wav")
    assert reader.covered == reader.duration == samples / rate
    assert abs(heard.size - samples * RATE / rate) <= 1


def seconds_read_or_nothing(path: Path) -> tuple[np.ndarray, Any]:
    with open_sound(path) as reader:
        return np.concatenate([np.zeros(0, np.float32), *reader]), reader


def shorten(wave: np.ndarray, rate: int) -> bytes:
    """Samples in the manner of Shorten 2: blocks without prediction, in Rice codes."""
    bits: list[str] = []

    def code(value: int, low: int) -> None:
        bits.append("0" * (value >> low) + "1" + (f"{value & (1 << low) - 1:0{low}b}" if low else ""))

    def number(value: int) -> None:
        code(value.bit_length(), 2)
        code(value, value.bit_length())

    block, size = 256, 2 * len(wave)
    shape = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    wav = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + shape + b"data" + struct.pack("<I", size)
    for value in (5, 1, block, 0, 0, 0):  # 16 bits, one channel, block size, no prediction, no mean, nothing to skip
        number(value)
    code(9, 2)  # bytes as they are
    code(len(wav), 5)
    for byte in wav:
        code(byte, 8)
    samples = np.round(wave * 32767).astype(int).tolist()
    for at in range(0, len(samples), block):
        code(0, 2)  # a block as it is
        code(12, 3)
        for sample in samples[at : at + block]:
            code(sample << 1 if sample >= 0 else ~sample << 1 | 1, 13)
    code(4, 2)  # the end
    line = "".join(bits)
    return b"ajkg\x02" + int(line.ljust(-(-len(line) // 32) * 32, "0"), 2).to_bytes(-(-len(line) // 32) * 4, "big")


def test_shorten(tmp_path: Path, voice: Any) -> None:
    wave = voice(0.64, RATE)[:, 0]
    (tmp_path / "a.shn").write_bytes(shorten(wave, RATE))
    heard, reader = seconds_read(tmp_path / "a.shn")
    np.testing.assert_allclose(heard, wave, atol=1e-4)
    assert reader.warning is None


def dsdiff(wave: np.ndarray, rate: int) -> bytes:
    """One bit a sample, 64 times as often: the sum of what was rounded away decides the next."""

    def chunk(name: bytes, *content: bytes) -> bytes:
        body = b"".join(content)
        return name + struct.pack(">Q", len(body)) + body

    total, stream = 0.0, []
    for sample in np.repeat(wave, 64).tolist():
        total += sample - (1.0 if total >= 0.0 else -1.0)
        stream.append(total >= 0.0)
    shape = b"SND ", chunk(b"FS  ", struct.pack(">I", rate * 64)), chunk(b"CHNL", b"\0\1C000")
    properties = chunk(b"PROP", *shape, chunk(b"CMPR", b"DSD \x0enot compressed\0"))
    content = chunk(b"FVER", b"\1\5\0\0"), properties, chunk(b"DSD ", np.packbits(stream).tobytes())
    return chunk(b"FRM8", b"DSD ", *content)


def test_dsdiff(tmp_path: Path, voice: Any, compare: Any) -> None:
    wave = voice(0.5, 44_100)[:, 0]
    (tmp_path / "a.dff").write_bytes(dsdiff(wave, 44_100))
    heard, reader = seconds_read(tmp_path / "a.dff")
    assert heard.size == pytest.approx(0.5 * RATE, abs=100)
    _, likeness = compare(heard, voice(0.5, RATE)[:, 0])
    assert likeness > 0.98
    assert reader.warning is None
