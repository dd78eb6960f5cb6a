"""What a cue says of a sound: [dog barking in the distance]"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from samcli.errors import UsageError
from samcli.subtitle.guides import Guide
from samcli.subtitle.sounds import Sound, is_music
from samcli.text.sayings import Saying, saying, without_article

STYLES = ("ongoing", "present", "brief", "capitals")
NOBODY = ("someone", "something", "nothing")  # where the sound itself says more than who makes it
FAR = "in the distance"
NOTE, NUMBER_SIGN = "♪", "#"  # the second in files that are no Unicode


def check_style(style: str) -> None:
    if style not in STYLES:
        raise UsageError(f"There is no --style {style!r}: choose {', '.join(STYLES)}.")


def words_of(sound: Sound, style: str) -> str:
    """The words alone."""
    try:
        own = saying(sound.label)
    except KeyError:  # a label that tuning added
        return sound.label.lower()
    words = own.bare if is_music(sound.label) or style == "brief" else _deed(own, style)
    return f"{words} {FAR}" if sound.far else words


def _deed(own: Saying, style: str) -> str:
    if own.who.startswith(NOBODY) or " or " in own.deeds[0]:
        return own.bare
    return without_article(own.ongoing if style == "ongoing" else own.present)


def text_of(sounds: Sequence[Sound], style: str, guide: Guide, note: str = NOTE) -> str:
    """The lines of a cue that tells these sounds, each sound on a line of its own where both fit."""
    texts = list(dict.fromkeys(_marked(sound, style, note) for sound in sounds))
    lines = [line for text in texts for line in textwrap.wrap(text, guide.line, break_long_words=False)]
    return "\n".join(lines[: guide.lines])


def _marked(sound: Sound, style: str, note: str) -> str:
    words = words_of(sound, style)
    if style == "capitals":
        return words.upper()
    return f"[{note} {words}]" if is_music(sound.label) else f"[{words}]"
