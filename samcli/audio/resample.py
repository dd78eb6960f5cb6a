"""Change of sampling rate, in a stream whose result equals one pass over the whole wave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # of sam-nano and the published AudioSet models; a model says its own
# Hz: from telephones that were poor in their day to probes of ultrasound. A lower rate would let a few bytes stand for
# hours: 4 kB can claim 54 hours at 100 Hz.
RATES = range(4_000, 10_000_001)

Wave = NDArray[np.float32]  # (samples,)


class Resampler:
    """Mono float32 from `source_rate` to `rate`: push blocks of any size, then finish.

    The filter (soxr, "HQ") looks ahead a few milliseconds, so what a push returns lags behind what it was given;
    `finish` returns the rest. `n` samples become `n * rate / source_rate` in all, to the nearest one.
    """

    def __init__(self, source_rate: int, rate: int = SAMPLE_RATE) -> None:
        self._stream = None
        if source_rate != rate:
            import soxr

            self._stream = soxr.ResampleStream(source_rate, rate, 1, dtype="float32", quality="HQ")

    def push(self, block: Wave) -> Wave:
        if self._stream is None or block.size == 0:
            return block
        resampled: Wave = self._stream.resample_chunk(np.ascontiguousarray(block))
        return resampled

    def finish(self) -> Wave:
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest: Wave = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        return rest


def resampled(wave: Wave, source_rate: int, rate: int) -> Wave:
    """A whole wave at another rate."""
    stream = Resampler(source_rate, rate)
    return np.concatenate([stream.push(wave), stream.finish()])
