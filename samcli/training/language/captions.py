"""Captions by grammar: one sentence in the words of a person who heard the scene.

A caption never mentions what is not in its scene. Order, number, loudness, place and recording quality are said only
where the scene states them, and the words are drawn anew each time: the same scene is described in hundreds of ways.
"""

from __future__ import annotations

import re
from itertools import pairwise
from random import Random

from samcli.training.language import templates
from samcli.training.language.phrases import Part, background_part, drift, lean, parts_of
from samcli.training.language.scenes import Scene, clearly_before, together
from samcli.training.language.templates import Templates

MOST_WORDS = 20
LONG_SHARE = 0.6
STYLES = ("present", "present", "present", "present", "bare", "bare", "bare", "progressive", "progressive")
STYLE_PERIOD_DB, TEMPLATE_PERIOD_DB = 17.0, 11.0
HUSH = re.compile(r"silence|quiet|nothing|stops?$")
TRIES = 4
QUIET_SECONDS = 1.5  # from here on, a stretch of nothing is worth a word
# The background is spoken of as such when it lies below the loudest event.
BACKGROUND_BELOW_DB = 3.0

NESTING = re.compile(r"\b(?:while|as|over|amid)\b", re.IGNORECASE)  # one of these in a sentence reads well, two do not


def write_caption(scene: Scene, rng: Random) -> str:
    """One caption of the scene: sentence case, ends with a full stop, at most about 20 words."""
    caption = ""
    for attempt in range(TRIES):
        caption = _draw(scene, rng, plain=attempt > 1, short=attempt == TRIES - 1)
        if caption.count(" ") < MOST_WORDS and len(NESTING.findall(caption)) < 2:
            break
    return caption


def _draw(scene: Scene, rng: Random, plain: bool, short: bool) -> str:
    limit = 2 if short else rng.choice((3, 4))
    parts = parts_of(scene, rng, limit=limit, plain=plain or rng.random() < 0.15)
    behind = background_part(scene, rng)
    if not parts and behind is None:
        return rng.choice(templates.SILENCE)
    style = _style(scene, rng)
    bare = style == "bare"
    if not parts:
        assert behind is not None
        text = _alone(behind, style, rng)
    else:
        text = _compose(scene, parts, style, rng)
        if behind is not None and rng.random() < (0.95 if len(parts) < 3 else 0.75):
            loudest = max(event.level_db for part in parts for event in part.events)
            lower = scene.background_level_db < loudest - BACKGROUND_BELOW_DB
            many_words = text.count(". ") > 0
            if many_words:
                text += f", with {behind.thing(rng)}" + (" in the background" if lower else "")
            elif lower:
                text = _around(text, behind, templates.BEHIND_BARE if bare else templates.BEHIND_FINITE, style, rng)
            else:
                text = _around(text, behind, templates.AMONG_BARE if bare else templates.AMONG, style, rng)
    if not plain:
        text = _circumstances(scene, text, rng)
    return text[0].upper() + text[1:] + "."


def _style(scene: Scene, rng: Random) -> str:
    """Present, progressive, or no finite verb at all; what goes on for long is rather said as going on."""
    longest = max((event.duration for event in scene.events), default=scene.duration)
    if longest > LONG_SHARE * scene.duration and rng.random() < 0.25:
        return "progressive"
    return drift(STYLES, lean(_level(scene), STYLE_PERIOD_DB), rng)


def _level(scene: Scene) -> float:
    return scene.loudest.level_db if scene.loudest is not None else scene.background_level_db


def _compose(scene: Scene, parts: list[Part], style: str, rng: Random) -> str:
    if len(parts) == 1:
        part = parts[0]
        last = max(part.events, key=lambda event: event.end)
        if style != "bare" and scene.lead(part.events[0]) > QUIET_SECONDS and rng.random() < 0.5:
            return _fill(rng.choice(templates.LATE), part, None, style, rng)
        if style != "bare" and scene.tail(last) > QUIET_SECONDS and rng.random() < 0.5:
            return _fill(rng.choice(templates.EARLY), part, None, style, rng)
        return _alone(part, style, rng, only=scene.background is None)
    if len(parts) == 2:
        bare = style == "bare"
        one, other = parts
        choices: Templates
        if _before(one, other):
            choices = templates.THEN_BARE if bare else templates.THEN_FINITE
        elif _while(one, other):
            choices = templates.WHILE_BARE if bare else templates.WHILE_FINITE
            # The longer sound is what the other one happens in: it may come first or second.
            if rng.random() < 0.5:
                one, other = other, one
        else:
            choices = templates.AND_BARE if bare else templates.AND_FINITE
        place = lean(one.events[0].level_db + other.events[0].level_db, TEMPLATE_PERIOD_DB)
        return _fill(_pick(choices, place, rng), one, other, style, rng)
    return _chain(parts, style, rng)


def _chain(parts: list[Part], style: str, rng: Random) -> str:
    """Three or more sounds, each joined to the one before it."""
    text = _clause(parts[0], style, rng)
    if style != "bare" and rng.random() < 0.2 and all(_before(*pair) for pair in pairwise(parts)):
        text = "first " + text
    for place, (previous, part) in enumerate(pairwise(parts), start=1):
        last = place == len(parts) - 1
        if _before(previous, part):
            joint = rng.choice(
                (", and finally ", " and then ", ", and then ") if last else (", then ", ", then ", ", followed by ")
            )
        elif _while(previous, part):
            joint = rng.choice((" while ", " as ", " and "))
        else:
            joint = ", and " if last else ", "
        if joint == ", followed by ":
            text += joint + part.thing(rng)
        elif joint in {" while ", " as "} and style == "bare":
            text += joint + part.present()
        else:
            text += joint + _clause(part, style, rng)
    return text


def _clause(part: Part, style: str, rng: Random) -> str:
    if style == "present":
        return part.present()
    if style == "progressive":
        return part.progressive()
    return part.thing(rng)


def _alone(part: Part, style: str, rng: Random, only: bool = True) -> str:
    choices = templates.ALONE_BARE if style == "bare" else templates.ALONE_FINITE if only else templates.ALONE_AMONG
    place = lean(part.events[0].level_db, TEMPLATE_PERIOD_DB)
    return _fill(_pick(choices, place, rng), part, None, style, rng)


def _fill(template: str, first: Part, second: Part | None, style: str, rng: Random) -> str:
    noun, many = first.noun(rng)
    words = {
        "A": first.progressive() if style == "progressive" else first.present(),
        "a": first.ongoing() if rng.random() < 0.5 else noun,
        "o": first.ongoing(),
        "n": noun,
        "is_n": "are" if many else "is",
        "stops": "stop" if first.saying.many else "stops",
    }
    if second is not None:
        other = second.noun(rng)[0]
        words["B"] = second.progressive() if style == "progressive" else second.present()
        words["b"] = second.ongoing() if rng.random() < 0.5 else other
        words["q"] = second.ongoing()
        words["m"] = other
    return template.format_map(words)


def _around(text: str, behind: Part, choices: Templates, style: str, rng: Random) -> str:
    noun = behind.noun(rng)[0]
    place = lean(behind.events[0].level_db, TEMPLATE_PERIOD_DB)
    return _pick(choices, place, rng).format(
        S=text,
        G=behind.progressive() if style == "progressive" else behind.present(),
        g=behind.ongoing() if rng.random() < 0.5 else noun,
        h=noun,
    )


def _circumstances(scene: Scene, text: str, rng: Random) -> str:
    """Where it sounds and how it was recorded."""
    if scene.place is not None and rng.random() < 0.6:
        where = rng.choice(templates.IN_PLACE[scene.place])
        ahead = HUSH.search(text) is not None or rng.random() < 0.25  # silence does not sound in a room
        if not ahead or where.startswith("in"):
            text = f"{where}, {text}" if ahead else f"{text} {where}"
    if scene.quality is not None and rng.random() < 0.6:
        if rng.random() < 0.4 and "recording" not in text:
            text = f"{text} {rng.choice(templates.AS_RECORDED[scene.quality])}"
        else:
            text = f"{text}. {rng.choice(templates.RECORDED[scene.quality])}"
    return text


def _before(first: Part, second: Part) -> bool:
    return clearly_before(first.events[-1], second.events[0])


def _while(first: Part, second: Part) -> bool:
    return any(together(one, other) for one in first.events for other in second.events)


_WEIGHTED: dict[Templates, list[str]] = {}


def _pick(choices: Templates, place: float, rng: Random) -> str:
    drawn = _WEIGHTED.get(choices)
    if drawn is None:
        drawn = _WEIGHTED[choices] = [template for template, weight in choices for _ in range(weight)]
    return drift(drawn, place, rng)
