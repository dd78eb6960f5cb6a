"""What is said of a sound that cannot be named: how it sounds, how long and how loud, and that it is hard to tell.

Without such words a model has to name something for every sound it hears. They name no sound.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import numpy as np

from samcli.text.inflection import article
from samcli.training.language.phrases import drift, lean
from samcli.training.nano.mixer import FRAMES_PER_STEP, FloatArray

# What is said of about one sound in six each: a word that is said of most tells nothing.
SHORT_SECONDS, LONG_SECONDS = 0.8, 4.5
QUIET_DB, LOUD_DB = -38.0, -6.0
DEEP, LOW, HIGH, BRIGHT = 36.0, 52.0, 84.0, 96.0  # where most of a sound's power lies, in mel bands
FADING, SWELLING = 0.2, 0.58  # when half of its power is spent, as a share of its length
ROUGH, CLEAR = 2.3, 4.7  # how far its plainest tone stands out from the bands around it, in nats
EVEN, UNEVEN = 0.8, 2.1  # how far its loudness strays from step to step, in nats
MOST = 3  # qualities in one breath
AROUND = 13  # bands around a tone
TAIL_PERIOD_DB, WORD_PERIOD_DB = 13.0, 17.0
FORM_PERIOD = 24.0  # mel bands
ASKED = (
    "What is this sound?", "What is it?", "What can be heard?", "What do you hear?", "What makes this sound?",
    "What is heard?", "Which sounds are heard?", "Describe the sound.", "What is this?",
)  # fmt: skip
UNSURE = (
    "It is hard to tell.", "I cannot tell what it is.", "It could be many things.", "It cannot be told for sure.",
    "I am not sure what it is.",
)  # fmt: skip
TAILS = (
    "that is hard to name", "that is hard to tell", "of unknown origin", "that cannot be made out", "of some kind",
    "from an unknown source", "that is not easy to place",
)  # fmt: skip
FORMS = (
    "{what} is heard{several}", "{what}{repeated}", "there is {what}", "{what} can be heard{several}",
    "one hears {what}{several}", "{what}{repeated}", "a recording of {what}",
)  # fmt: skip


class VagueSound(NamedTuple):
    """A lone sound, as it is without its name."""

    seconds: float
    level_db: float
    times: int
    height: float = 65.0  # the mel band around which its power lies
    middle: float = 0.45  # this and the next two as above
    clearness: float = 3.0
    unevenness: float = 1.5


def vague_sound(mel: FloatArray, seconds: float, level_db: float, times: int) -> VagueSound:
    """`mel` (frames, bands): log power of the sound while it is heard."""
    power = np.exp(mel.astype(np.float64))
    loudness, spectrum = power.mean(1), power.mean(0)
    height = float((spectrum * np.arange(len(spectrum))).sum() / spectrum.sum())
    middle = float((loudness * np.linspace(0, 1, len(loudness))).sum() / loudness.sum())
    plain = mel[loudness >= np.median(loudness)]
    sums = np.pad(plain.astype(np.float64), ((0, 0), (AROUND // 2 + 1, AROUND // 2)), mode="edge").cumsum(1)
    clearness = float(np.median((plain - (sums[:, AROUND:] - sums[:, :-AROUND]) / AROUND).max(1)))
    whole = loudness[: len(loudness) // FRAMES_PER_STEP * FRAMES_PER_STEP]
    steps = whole.reshape(-1, FRAMES_PER_STEP).mean(1)
    unevenness = float(np.log(steps + 1e-9).std()) if seconds > SHORT_SECONDS and len(steps) > 1 else 1.5
    return VagueSound(seconds, level_db, times, height, middle, clearness, unevenness)


def vague_caption(sound: VagueSound, rng: Random) -> str:
    noun = f"{', '.join(_qualities(sound, rng))} sound".strip()
    what = f"{article(noun)} {noun} {drift(TAILS, lean(sound.level_db, TAIL_PERIOD_DB), rng)}"
    many = sound.times > 1
    form = drift(FORMS, lean(sound.height, FORM_PERIOD), rng)
    text = form.format(what=what, several=" several times" if many else "", repeated=", repeated" if many else "")
    return f"{text[0].upper()}{text[1:]}."


def _qualities(sound: VagueSound, rng: Random) -> list[str]:
    """The first things that stand out. Which word is taken leans on how loud it is."""
    choices: list[tuple[str, ...]] = []
    if sound.clearness > CLEAR:
        choices.append(("clear", "pure"))
    elif sound.clearness < ROUGH:
        choices.append(("rough", "noisy"))
    if sound.middle < FADING and sound.times == 1:
        choices.append(("fading",))
    elif sound.middle > SWELLING and sound.times == 1:
        choices.append(("swelling", "growing"))
    elif sound.unevenness > UNEVEN:
        choices.append(("uneven", "unsteady"))
    elif sound.unevenness < EVEN:
        choices.append(("even", "smooth"))
    if sound.height < LOW:
        choices.append(("deep",) if sound.height < DEEP else ("dull",))
    elif sound.height > HIGH:
        choices.append(("bright",) if sound.height > BRIGHT else ("high", "high-pitched"))
    if sound.times == 1 and sound.seconds < SHORT_SECONDS:
        choices.append(("short", "brief"))
    elif sound.seconds > LONG_SECONDS:
        choices.append(("long", "lasting", "steady"))
    if sound.level_db < QUIET_DB:
        choices.append(("quiet", "faint", "soft"))
    elif sound.level_db > LOUD_DB:
        choices.append(("loud",))
    place = lean(sound.level_db, WORD_PERIOD_DB)
    return [drift(words, place, rng) for words in reversed(choices[:MOST])]


def vague_answer(sound: VagueSound, rng: Random) -> tuple[str, str]:
    """A question and its honest answer."""
    answer = rng.choice(UNSURE) if rng.random() < 0.6 else vague_caption(sound, rng)
    return rng.choice(ASKED), answer
