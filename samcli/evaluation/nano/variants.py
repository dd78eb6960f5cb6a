"""The same sound as other hands would have stored it: another rate, quieter, compressed, later, noisy, by telephone."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from samcli.audio import read_sound
from samcli.evaluation.nano.dev_sounds import RATE, frame_levels, room_tone

Wave = NDArray[np.float32]

OTHER_RATE = 44_100
QUIETER_DB = -20.0
LATER_SECONDS = 0.3
NOISE_BELOW_DB = 10.0
TELEPHONE_HZ, TELEPHONE_RATE = (300.0, 3400.0), 8000


def resampled(wave: Wave) -> Wave:
    """Stored with 44,100 samples a second and 24 bits, then read like any file."""
    import soxr

    return _through_file(soxr.resample(wave, RATE, OTHER_RATE), OTHER_RATE, "FLAC", "PCM_24")


def quieter(wave: Wave) -> Wave:
    """Twenty decibels down, in the steps of 16 bits."""
    return _through_file(wave * np.float32(10 ** (QUIETER_DB / 20)), RATE, "WAV", "PCM_16")


def mp3_coded(wave: Wave) -> Wave:
    """Through an MP3 at the coder's usual quality."""
    return _through_file(wave, RATE, "MP3", "MPEG_LAYER_III")


def started_later(wave: Wave) -> Wave:
    """Without its first three tenths of a second."""
    return wave[round(LATER_SECONDS * RATE) :]


def in_noise(wave: Wave) -> Wave:
    """In a room whose noise lies 10 dB below the sound while it sounds."""
    loud = frame_levels(wave)
    sounding = loud[loud > loud.max(initial=0.0) * 0.1]
    level = float(np.sqrt(np.square(sounding).mean())) if sounding.size else 0.0
    if not level:
        return wave
    chance = np.random.default_rng(len(wave))
    return wave + room_tone(len(wave), chance, 20 * np.log10(level) - NOISE_BELOW_DB)


def by_telephone(wave: Wave) -> Wave:
    """Between 300 and 3,400 Hz, in 8,000 samples of 16 bits a second."""
    import soxr

    low, high = TELEPHONE_HZ
    slow = soxr.resample(wave, RATE, TELEPHONE_RATE)
    spectrum = np.fft.rfft(slow)
    hertz = np.fft.rfftfreq(len(slow), 1 / TELEPHONE_RATE)
    band = np.fft.irfft(spectrum * ((hertz >= low) & (hertz <= high)), len(slow)).astype(np.float32)
    return _through_file(band, TELEPHONE_RATE, "WAV", "PCM_16")


VARIANTS: dict[str, Callable[[Wave], Wave]] = {
    "resampled": resampled,
    "quieter": quieter,
    "mp3": mp3_coded,
    "later": started_later,
    "noise": in_noise,
    "telephone": by_telephone,
}


def _through_file(wave: Wave, rate: int, container: str, coding: str) -> Wave:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(wave, -1, 1), rate, format=container, subtype=coding)
    file.seek(0)
    return read_sound(file, RATE)
