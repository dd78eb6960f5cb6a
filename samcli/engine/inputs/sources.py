"""One way to read every kind of input: a file, an open stream, or samples already in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from samcli.audio.waves import Resampler
from samcli.engine.inputs.find import Input
from samcli.engine.windows import Cut, Piece, Wave, cut
from samcli.errors import InputError

BLOCK_SECONDS = 10.0

EMPTY = "empty"  # the kind of the error of an input without samples


class Reader(Protocol):
    """Mono blocks at the rate asked for, and how much there was."""

    duration: float | None
    covered: float
    warning: str | None

    def __iter__(self) -> Iterator[Wave]: ...


def open_input(item: Input, rate: int) -> AbstractContextManager[Reader]:
    """The sound of an input. Raises InputError, here or while it is read."""
    if isinstance(item.source, tuple):
        samples, source_rate = item.source
        arrays = isinstance(samples, np.ndarray)
        return ArrayReader(samples, source_rate, rate) if arrays else BlockReader(samples, source_rate, rate)
    if item.raw is not None:
        from samcli.audio.pcm import open_raw

        return open_raw(item.path if item.source is None else item.source, item.raw, rate)
    if item.flows and item.source is not None and not item.source.seekable():
        from samcli.audio.flow import open_flow

        return open_flow(item.source, rate)
    from samcli.audio.decode import open_sound

    return open_sound(item.path if item.source is None else item.source, rate, BLOCK_SECONDS)


@dataclass(frozen=True)
class Ended:
    """All pieces of an input were handed on."""

    duration: float
    covered: float
    warning: str | None


def pieces_of(
    item: Input, how: Cut, expect: Callable[[float | None], None] = lambda seconds: None
) -> Generator[Piece | Ended, None, None]:
    """The pieces of an input and, at last, how it ended. Raises whatever a decoder may come up with."""
    samples = 0
    with open_input(item, how.rate) as reader:
        expect(reader.duration)
        for piece in cut(reader, how):
            samples += len(piece.wave)
            yield piece
        covered = reader.covered
        duration = covered if reader.duration is None else reader.duration
        warning = reader.warning
    if not samples:
        raise InputError(f"{item.display!r} holds no sound.", EMPTY)
    yield Ended(duration, covered, warning)


def input_error(error: Exception, item: Input) -> InputError:
    """Whatever a decoder may come up with, as one input's failure: the other inputs go on."""
    name = repr(item.display)
    if isinstance(error, InputError):
        return error
    if isinstance(error, MemoryError):
        return InputError(f"There is not enough memory to read {name}.", "memory")
    if isinstance(error, OSError):
        return InputError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}.", "unreadable")
    return InputError(f"{name} cannot be decoded: {str(error) or type(error).__name__}", "not-audio")


def array_input(samples: NDArray[Any], rate: int) -> Input:
    """An input of samples in memory: (samples,), (samples, channels) or (channels, samples)."""
    return Input("array", "array", None, "array", source=(samples, rate))


class BlockReader:
    """Blocks of samples as somebody gives them, mixed to mono and resampled."""

    def __init__(self, blocks: Iterable[NDArray[Any]], source_rate: int, rate: int) -> None:
        if source_rate <= 0:
            raise InputError(f"A sample rate of {source_rate} cannot be.", "not-audio")
        self.blocks, self.source_rate, self.rate = blocks, source_rate, rate
        self.duration: float | None = None
        self.covered = 0.0
        self.warning: str | None = None

    def __enter__(self) -> BlockReader:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __iter__(self) -> Iterator[Wave]:
        return resampled(self._taken(), self.source_rate, self.rate)

    def _taken(self) -> Iterator[Wave]:
        samples = 0
        for block in self.blocks:
            wave = mono(np.asarray(block))
            samples += len(wave)
            self.covered = samples / self.source_rate
            yield wave


class ArrayReader(BlockReader):
    """Samples in memory: how long they last is known."""

    def __init__(self, samples: NDArray[Any], source_rate: int, rate: int) -> None:
        wave = mono(np.asarray(samples))
        if not wave.size:
            raise InputError("The array holds no samples.", "no-samples")
        if not np.isfinite(wave).all():
            raise InputError("The array holds samples that are not numbers (NaN or infinity).", "non-finite")
        step = max(1, round(BLOCK_SECONDS * source_rate))
        super().__init__((wave[at : at + step] for at in range(0, len(wave), step)), source_rate, rate)
        self.duration = len(wave) / source_rate


def resampled(blocks: Iterable[Wave], source_rate: int, rate: int) -> Iterator[Wave]:
    """The same sound at another rate, block by block."""
    resampler = Resampler(source_rate, rate)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.finish()


def mono(samples: NDArray[Any]) -> Wave:
    """Float samples of one channel from (samples,), (samples, channels) or (channels, samples) of any type."""
    if np.issubdtype(samples.dtype, np.integer):
        bits = np.iinfo(samples.dtype)
        middle = 0 if bits.min else (bits.max + 1) // 2  # unsigned samples rest at their middle
        samples = (samples.astype(np.float32) - middle) / (bits.max + 1 - middle)
    if samples.ndim == 2:
        # Nobody records more channels than samples.
        samples = samples.mean(axis=int(np.argmin(samples.shape)))
    if samples.ndim != 1:
        message = f"An array of shape {samples.shape} is not sound: give (samples,) or (samples, channels)."
        raise InputError(message, "not-audio")
    return np.ascontiguousarray(samples, dtype=np.float32)
