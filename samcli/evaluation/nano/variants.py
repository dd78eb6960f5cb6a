"""The same sound as other hands would have stored it: another rate, quieter, compressed, started later."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from samcli.audio import SAMPLE_RATE, read_sound

Wave = NDArray[np.float32]

OTHER_RATE = 44_100
QUIETER_DB = -20.0
LATER_SECONDS = 0.3


def resampled(wave: Wave) -> Wave:
    """Stored with 44,100 samples a second and 24 bits, then read like any file."""
    import soxr

    return _through_file(soxr.resample(wave, SAMPLE_RATE, OTHER_RATE), OTHER_RATE, "FLAC", "PCM_24")


def quieter(wave: Wave) -> Wave:
    """Twenty decibels down, in the steps of 16 bits."""
    return _through_file(wave * np.float32(10 ** (QUIETER_DB / 20)), SAMPLE_RATE, "WAV", "PCM_16")


def mp3_coded(wave: Wave) -> Wave:
    """Through an MP3 at the coder's usual quality."""
    return _through_file(wave, SAMPLE_RATE, "MP3", "MPEG_LAYER_III")


def started_later(wave: Wave) -> Wave:
    """Without its first three tenths of a second."""
    return wave[round(LATER_SECONDS * SAMPLE_RATE) :]


VARIANTS: dict[str, Callable[[Wave], Wave]] = {
    "resampled": resampled,
    "quieter": quieter,
    "mp3": mp3_coded,
    "later": started_later,
}


def _through_file(wave: Wave, rate: int, container: str, coding: str) -> Wave:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), rate, format=container, subtype=coding)
    file.seek(0)
    return read_sound(file, SAMPLE_RATE)
