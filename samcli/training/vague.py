"""What is said of a sound that nobody can name: how long it is, how loud, and that it is hard to tell.

Without such scenes a model has to name something for every sound it hears. The words name no sound.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

SHORT_SECONDS, LONG_SECONDS = 0.8, 3.0
QUIET_DB, LOUD_DB = -42.0, -16.0
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


class VagueSound(NamedTuple):
    """A lone sound without a name."""

    seconds: float
    level_db: float
    times: int


def vague_caption(sound: VagueSound, rng: Random) -> str:
    qualities = []
    if sound.level_db < QUIET_DB:
        qualities.append(rng.choice(("quiet", "faint", "soft")))
    elif sound.level_db > LOUD_DB and rng.random() < 0.5:
        qualities.append("loud")
    if sound.times == 1 and sound.seconds < SHORT_SECONDS:
        qualities.append(rng.choice(("short", "brief")))
    elif sound.seconds > LONG_SECONDS:
        qualities.append(rng.choice(("long", "lasting", "steady")))
    noun = f"{', '.join(qualities)} sound".strip()
    what = f"{_article(noun)} {noun} {rng.choice(TAILS)}"
    ending = " several times" if sound.times > 1 else ""
    form = rng.random()
    if form < 0.5:
        text = f"{what} is heard{ending}"
    elif form < 0.8:
        text = f"{what}{ending and ', repeated'}"
    else:
        text = f"there is {what}"
    return f"{text[0].upper()}{text[1:]}."


def vague_answer(sound: VagueSound, rng: Random) -> tuple[str, str]:
    """A question and its honest answer."""
    answer = rng.choice(UNSURE) if rng.random() < 0.6 else vague_caption(sound, rng)
    return rng.choice(ASKED), answer


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
