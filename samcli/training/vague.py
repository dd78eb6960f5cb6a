"""What is said of a sound that cannot be named: how long it is, how loud, how high, and that it is hard to tell.

Without such words a model has to name something for every sound it hears. They name no sound.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from samcli.text.inflection import article
from samcli.training.drift import drift, lean

# What is said of about one sound in six each: a word that is said of most tells nothing.
SHORT_SECONDS, LONG_SECONDS = 0.8, 4.5
QUIET_DB, LOUD_DB = -38.0, -6.0
DEEP, LOW, HIGH, BRIGHT = 36.0, 52.0, 84.0, 96.0  # where most of a sound's power lies, in mel bands
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


def vague_caption(sound: VagueSound, rng: Random) -> str:
    noun = f"{', '.join(_qualities(sound, rng))} sound".strip()
    what = f"{article(noun)} {noun} {drift(TAILS, lean(sound.level_db, TAIL_PERIOD_DB), rng)}"
    many = sound.times > 1
    form = drift(FORMS, lean(sound.height, FORM_PERIOD), rng)
    text = form.format(what=what, several=" several times" if many else "", repeated=", repeated" if many else "")
    return f"{text[0].upper()}{text[1:]}."


def _qualities(sound: VagueSound, rng: Random) -> list[str]:
    """The first two things that stand out: how high it is, how long, how loud. Which word leans on how loud it is."""
    choices: list[tuple[str, ...]] = []
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
    return [drift(words, place, rng) for words in reversed(choices[:2])]


def vague_answer(sound: VagueSound, rng: Random) -> tuple[str, str]:
    """A question and its honest answer."""
    answer = rng.choice(UNSURE) if rng.random() < 0.6 else vague_caption(sound, rng)
    return rng.choice(ASKED), answer
