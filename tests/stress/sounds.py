"""Small real sounds in every kind of file that can be made here: what the fuzzing starts from."""

from __future__ import annotations

import io
import runpy
import tempfile
from pathlib import Path

import numpy as np

AUDIO = runpy.run_path(str(Path(__file__).parents[1] / "audio" / "conftest.py"))
encode_with_av, make_voice = AUDIO["encode_with_av"], AUDIO["make_voice"]

# name: (libsndfile's format, subtype)
SOUNDFILE = {
    "wav": ("WAV", "PCM_16"), "wav24": ("WAV", "PCM_24"), "wavfloat": ("WAV", "FLOAT"), "wavdouble": ("WAV", "DOUBLE"),
    "wavalaw": ("WAV", "ALAW"), "wavima": ("WAV", "IMA_ADPCM"), "wavms": ("WAV", "MS_ADPCM"),
    "wavgsm": ("WAV", "GSM610"),
    "wavex": ("WAVEX", "PCM_16"), "rf64": ("RF64", "PCM_16"), "w64": ("W64", "PCM_16"), "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"), "caf": ("CAF", "PCM_16"), "cafalac": ("CAF", "ALAC_16"), "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "voc": ("VOC", "PCM_16"),
}  # fmt: skip
# name: (container, code, rate, seconds of moving picture)
ENCODED = {
    "mp3": ("mp3", "libmp3lame", 44_100, 0.0), "mp2": ("mp2", "mp2", 44_100, 0.0), "aac": ("adts", "aac", 44_100, 0.0),
    "m4a": ("ipod", "aac", 44_100, 0.0), "alac": ("ipod", "alac", 44_100, 0.0), "mp4": ("mp4", "aac", 44_100, 0.5),
    "mkv": ("matroska", "flac", 44_100, 0.5), "webm": ("webm", "libopus", 48_000, 0.0),
    "avi": ("avi", "pcm_s16le", 44_100, 0.5), "flv": ("flv", "aac", 44_100, 0.0), "wma": ("asf", "wmav2", 44_100, 0.0),
    "ac3": ("ac3", "ac3", 48_000, 0.0), "mpegts": ("mpegts", "mp2", 44_100, 0.0), "tta": ("tta", "tta", 44_100, 0.0),
    "wv": ("wv", "wavpack", 44_100, 0.0),
}  # fmt: skip
FIVE = ("wav", "flac", "ogg", "mp3", "m4a")  # the kinds that people have


def sound_bytes(kind: str, seconds: float = 0.4, channels: int = 1) -> bytes:
    """A sound of that kind."""
    import soundfile

    if kind in SOUNDFILE:
        format, subtype = SOUNDFILE[kind]
        rate = 48_000 if kind == "opus" else 16_000
        out = io.BytesIO()
        soundfile.write(out, make_voice(seconds, rate, channels), rate, format=format, subtype=subtype)
        return out.getvalue()
    container, code, rate, picture = ENCODED[kind]
    with tempfile.TemporaryDirectory() as place:
        path = encode_with_av(
            Path(place) / "x", container, code, make_voice(seconds, rate, channels), rate, video_seconds=picture
        )
        return path.read_bytes()


def tagged(sound: bytes) -> bytes:
    """An MP3 behind an ID3 tag, as most are."""
    frame = b"TIT2" + (40).to_bytes(4, "big") + b"\0\0\3" + "T\u00eftle".encode().ljust(39, b"x")
    return b"ID3\4\0\0" + bytes((0, 0, 0, len(frame) & 0x7F)) + frame + sound


def blocks(seconds: float, seed: int) -> np.ndarray:
    """Noise of its own colour: float32 mono at 16 kHz."""
    chance = np.random.default_rng(seed)
    wave = np.convolve(chance.standard_normal(round(seconds * 16_000)), np.exp(-np.arange(16) / chance.uniform(0.5, 8)))
    return (0.1 * wave[: round(seconds * 16_000)] / np.abs(wave).max()).astype(np.float32)
