"""Sounds that every program meets and small models invent things for: silence, tones, noise, speech, music."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samcli.audio import SAMPLE_RATE, read_sound
from samcli.evaluation.metrics.wording import names_any
from samcli.evaluation.nano.dev_sounds import DevSounds
from samcli.training.nano.corpus import Corpus

Wave = NDArray[np.float32]

SECONDS = 5.0
SILENT_DB = (None, -96.0, -84.0)  # digital silence, the dither of 16 bits, a very quiet preamplifier
TONE_HZ = (220.0, 440.0, 1000.0, 2500.0, 4000.0)
NOISE_DB = (-30.0, -20.0, -10.0)
MOST = 12  # recordings of speech and of music

# Words that tell a listener what is there. "A hum" is a fair word for a low tone, "hiss" for white noise.
TONE_WORDS = frozenset(
    ["tone", "tones", "beep", "beeps", "beeping", "sine", "hum", "hums", "humming", "whine", "buzzer", "drone"]
)
NOISE_WORDS = frozenset(["noise", "static", "hiss", "hisses", "hissing", "rushing"])
SPEECH_NAMES = (
    "Speech", "Male speech, man speaking", "Female speech, woman speaking", "Child speech, kid speaking",
    "Narration, monologue", "Conversation",
)  # fmt: skip
MUSIC_NAMES = ("Music", "Musical instrument", "Singing")


def special_waves(seed: int = 9) -> dict[str, list[Wave]]:
    """The made ones: silence, tone, noise."""
    samples = round(SECONDS * SAMPLE_RATE)
    chance = np.random.default_rng(seed)
    times = np.arange(samples) / SAMPLE_RATE
    return {
        "silence": [_noise(samples, level, chance) for level in SILENT_DB],
        "tone": [np.asarray(0.2 * np.sin(2 * np.pi * pitch * times), np.float32) for pitch in TONE_HZ],
        "noise": [_noise(samples, level, chance) for level in NOISE_DB],
    }


def recorded_waves(sounds: DevSounds) -> dict[str, list[Wave]]:
    """Music from the development split; speech too where it has some, else from clips of the training split."""
    music = [clip.wave for clip in sounds.clips if clip.clip.label == "music"][:MOST]
    speech = [clip.wave for clip in sounds.clips if clip.clip.label == "speech"][:MOST]
    return {"speech": speech or _training_speech(sounds.corpus), "music": music}


def captioned_as(kind: str, caption: str, silent: bool) -> bool:
    """Whether a caption tells which of the five was heard."""
    words = caption.lower().replace(".", " ").replace(",", " ").split()
    if kind == "silence":
        # The level gate speaks for the model: no caption is made, and none may be.
        return silent and not caption
    if kind == "tone":
        return any(word in TONE_WORDS for word in words)
    if kind == "noise":
        return any(word in NOISE_WORDS for word in words)
    if kind == "speech":
        return names_any(caption, SPEECH_NAMES)
    return names_any(caption, MUSIC_NAMES) or _names_instrument(caption)


def _names_instrument(caption: str) -> bool:
    from samcli.text.labels import broader, sounds_named

    return any("Music" in broader(name) or "Musical instrument" in broader(name) for name in sounds_named(caption))


def _noise(samples: int, level_db: float | None, chance: np.random.Generator) -> Wave:
    level = 0.0 if level_db is None else 10 ** (level_db / 20)
    return np.asarray(chance.standard_normal(samples) * level, np.float32)


def _training_speech(corpus: Corpus) -> list[Wave]:
    clips = sorted(clip.file for clip in corpus.clips if clip.label == "speech" and clip.seconds >= 1)
    step = max(1, len(clips) // MOST)  # spread over the sources
    return [read_sound(corpus.folder / file, SAMPLE_RATE) for file in clips[::step][:MOST]]
