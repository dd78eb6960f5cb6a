"""How fast sound comes in: decoding of each format, and the filter bank.

Every row sets a speed beside the speed of the part that cannot be left out (the decoding library alone; the Fourier
transforms and the matrix product alone), measured in the same minute on the same machine, so that `ratio` says how much
of what is possible is reached, whatever the machine.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.bench.core import Row, fastest, row

Stereo = NDArray[np.float32]  # (samples, 2)

FBANK_TARGET = 1000.0  # seconds of audio per second on two cores
RATE = 44_100  # what most files have
FORMATS = ("wav", "flac", "mp3", "ogg", "m4a")
UNIT = "s/s"  # seconds of sound per second


def bench_audio(quick: bool) -> list[Row]:
    """Rows of name, value, unit, limit, ratio, target; `quick` takes seconds, otherwise about a minute."""
    seconds, rounds = (8.0, 2) if quick else (120.0, 5)
    rows = [_bench_fbank(seconds, rounds)]
    with tempfile.TemporaryDirectory() as folder:
        wave = _music(seconds)
        for name in FORMATS:
            path = Path(folder) / f"bench.{name}"
            _encode(path, wave)
            rows.append(_bench_decode(path, seconds, rounds))
    return rows


def _bench_fbank(seconds: float, rounds: int) -> Row:
    import torch

    from samcli.audio.fbank import BLOCK_FRAMES, FFT, MELS, frame_count, log_mel
    from samcli.audio.waves import SAMPLE_RATE

    wave = torch.randn(1, round(seconds * SAMPLE_RATE), generator=torch.Generator().manual_seed(0)) * 0.1
    frames = torch.randn(BLOCK_FRAMES, FFT)
    triangles = torch.rand(FFT // 2 + 1, MELS)

    def bare() -> None:
        for _ in range(-(-frame_count(wave.shape[1]) // BLOCK_FRAMES)):
            torch.fft.rfft(frames).real @ triangles

    value, limit = (seconds / fastest(work, rounds, "cpu") for work in (partial(log_mel, wave), bare))
    return row("filter bank", value, UNIT, limit, FBANK_TARGET)


def _bench_decode(path: Path, seconds: float, rounds: int) -> Row:
    from samcli.audio import open_sound

    def read() -> None:
        with open_sound(path) as reader:
            for _ in reader:
                pass

    def by_soundfile() -> None:
        import soundfile

        for _ in soundfile.blocks(path, blocksize=1 << 16, dtype="float32"):
            pass

    def by_av() -> None:
        import av

        with av.open(str(path)) as container:
            for _ in container.decode(audio=0):
                pass

    bare = by_soundfile if path.suffix in (".wav", ".flac") else by_av
    name = f"decode {path.suffix[1:]}, stereo at {RATE} Hz to mono at 16 kHz"
    value, limit = (seconds / fastest(work, rounds, "cpu") for work in (read, bare))
    return row(name, value, UNIT, limit)


def _music(seconds: float) -> Stereo:
    """Chords that move over a noise, so that no encoder finds it trivial: (samples, 2)."""
    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal((times.size, 2)) * 0.02
    sway = 2 * np.pi * (220 * times + 40 * np.sin(times))
    chord = sum(np.sin(k * sway) / k for k in (1, 2, 3, 5, 7))
    wave: Stereo = (0.2 * np.stack([chord, chord * 0.8], axis=1) + noise).astype(np.float32)
    return wave


def _encode(path: Path, wave: Stereo) -> None:
    """Write the format that the suffix names."""
    if path.suffix != ".m4a":
        import soundfile

        with soundfile.SoundFile(path, "w", RATE, 2) as file:
            for at in range(0, len(wave), RATE):  # libsndfile's Vorbis encoder overflows its stack on long writes
                file.write(wave[at : at + RATE])
        return
    import av

    with av.open(str(path), "w", format="ipod") as out:
        stream: Any = out.add_stream("aac", rate=RATE, layout="stereo")
        stream.bit_rate = 128_000
        for at in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[at : at + 1024].T), "fltp", "stereo")
            frame.sample_rate, frame.pts = RATE, at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
