"""Bare samples without a header: what `--raw s16le:16000:1` says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from samcli.audio.files import by_name
from samcli.audio.waves import RATES, Resampler, Wave, weighted
from samcli.errors import InputError, UsageError

KINDS = {
    "u8": "u1", "s8": "i1", "s16le": "<i2", "s16be": ">i2", "s24le": "s24le", "s32le": "<i4", "s32be": ">i4",
    "f32le": "<f4", "f32be": ">f4", "f64le": "<f8", "f64be": ">f8",
}  # fmt: skip
MOST_CHANNELS = 64
BLOCK_SECONDS = 0.1  # handed on at a time


@dataclass(frozen=True)
class RawSound:
    """How to read bare samples; the names of their kinds are FFmpeg's."""

    kind: str
    rate: int  # samples a second
    channels: int

    @classmethod
    def parse(cls, text: str) -> RawSound:
        """From KIND:RATE:CHANNELS; the channels may be left out."""
        kind, rate, channels = [*text.split(":"), "1"][:3] if 2 <= text.count(":") + 1 <= 3 else ("", "", "")
        if kind not in KINDS or not rate.isdecimal() or not channels.isdecimal():
            kinds = ", ".join(KINDS)
            raise UsageError(f"--raw says what the samples are, such as s16le:16000:1, not {text!r}; kinds: {kinds}.")
        if int(rate) not in RATES or not 0 < int(channels) <= MOST_CHANNELS:
            few = f"{RATES[0]:,} to {RATES[-1]:,} samples a second and 1 to {MOST_CHANNELS} channels"
            raise UsageError(f"--raw {text} cannot be heard: sound has {few}.")
        return cls(kind, int(rate), int(channels))

    @property
    def frame_bytes(self) -> int:
        return self.channels * (3 if self.kind == "s24le" else np.dtype(KINDS[self.kind]).itemsize)

    def samples(self, data: bytes) -> NDArray[np.float32]:
        """(frames, channels) between -1 and 1."""
        if self.kind == "s24le":
            parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(parts), 4), np.uint8)
            wide[:, 1:] = parts
            found = wide.reshape(-1).view("<i4").astype(np.float32) / np.float32(2**31)
        else:
            values = np.frombuffer(data, KINDS[self.kind])
            found = values.astype(np.float32)
            if self.kind == "u8":
                found = (found - np.float32(128)) / np.float32(128)
            elif values.dtype.kind == "i":
                found = found / np.float32(-float(np.iinfo(values.dtype).min))
        frames: NDArray[np.float32] = np.asarray(found, np.float32).reshape(-1, self.channels)
        return frames

    def __str__(self) -> str:
        return f"{self.kind}:{self.rate}:{self.channels}"


class RawReader:
    """Bare samples, from a stream or a file, as they come."""

    def __init__(self, file: BinaryIO, kind: RawSound, rate: int, owned: bool = False) -> None:
        self.duration: float | None = None
        self.covered = 0.0
        self.warning: str | None = None
        self._file: Any = file
        self._kind, self._rate, self._owned = kind, rate, owned
        self._blocks = self._deliver()

    def __iter__(self) -> Iterator[Wave]:
        return self._blocks

    def __enter__(self) -> RawReader:
        return self

    def __exit__(self, *error: object) -> None:
        if self._owned:
            self._file.close()

    def _deliver(self) -> Iterator[Wave]:
        kind, heard, rest = self._kind, 0, b""
        resampler = Resampler(kind.rate, self._rate)
        weights = np.full(kind.channels, 1.0 / kind.channels, np.float32)
        size = round(BLOCK_SECONDS * kind.rate) * kind.frame_bytes
        read = self._file.read1 if hasattr(self._file, "read1") else self._file.read
        while data := read(size):
            data = rest + data
            whole = len(data) // kind.frame_bytes * kind.frame_bytes
            rest = data[whole:]
            wave = weighted(kind.samples(data[:whole]), weights)
            if not np.isfinite(wave).all():
                raise InputError("The raw sound holds samples that are not numbers (NaN or infinity).", "non-finite")
            heard += len(wave)
            self.covered = heard / kind.rate
            yield resampler.push(wave)
        yield resampler.finish()
        if rest:
            self.warning = f"The last {len(rest)} bytes are no whole sample of {kind}."


def open_raw(source: BinaryIO | str, kind: RawSound, rate: int) -> RawReader:
    """Bare samples by name or from an open stream."""
    if isinstance(source, str):
        return RawReader(by_name(source).stream.file, kind, rate, owned=True)
    return RawReader(source, kind, rate)
