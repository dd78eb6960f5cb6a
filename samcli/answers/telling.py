"""Which sounds are told unasked, and under which name.

A head gives one sound many names: a bark is also a dog, a pet and an animal, and a little a cat. Of names that hold at
the same moments the plainest is told; another only where it is sure by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samcli.answers.facts import LONG, Facts, Sound, overlap
from samcli.digest.digest import TENTH
from samcli.digest.names import HEADINGS, SAYABLE, kin
from samcli.text.labels import narrower
from samcli.text.sayings import saying

MAIN, FILLS, THROUGHOUT = 0.1, 0.5, 0.85  # of the time: one of the main sounds, most of the time, all of it
MOST_LABELS = 40  # that are looked at
UNDER = 0.35  # of a heading's chance: a name under it that likely is told instead
NOISES = frozenset({"Pink noise", "White noise", "Noise", "Static", "Hum", "Mains hum", "Hiss", "Environmental noise"})
ROOM_DB = -45.0  # below it a noise is the room's or the microphone's own, which nobody would tell
FAMILIES, LIKELY = ("Animal", "Vehicle"), 0.8  # told as a guess where some name under them is so likely
SOUNDING_DB, NEAR = 10.0, 300  # below the loudest moment; milliseconds around a sound that are its own
EXPLAINED = 0.3  # of a stretch that a sound fills, from which on it is that sound
BRIEF = 0.2  # of the longer one's time, below which the other is something that happens in it
UNSURE, RIVAL = 0.6, 0.7  # a sound less likely than that is told with a rival name so much as likely as its own
# Of which two that are nearly as likely are one: whoever hears a drum or a cymbal hears a drum kit.
KIT, PARTS = "Drum kit", frozenset({"Drum", "Snare drum", "Bass drum", "Drum roll", "Cymbal", "Hi-hat", "Rimshot"})
ALIKE = 0.7  # of the likelier one's chance
SAME = 0.5  # of the briefer one's time, from which two names may be one sound


def sounds_to_tell(facts: Facts) -> list[Sound]:
    """The sounds worth telling, the plainest first; no two names for one."""
    sure, found = facts.sureness, list[Sound]()
    alone, beside = (sure.told_long, sure.beside_long) if facts.duration > LONG else (sure.told, sure.beside)
    for label, chance in candidates(facts):
        sound = named(facts, label, chance)
        if sound is None or any(kin(label, other.label) for other in found):
            continue
        shared = any(_same_moments(sound, other) for other in found)
        # What is heard again and again, or for long, need not be so plain at its plainest.
        lasting = sound.share >= MAIN and facts.duration > LONG
        if chance >= (beside if shared else sure.told if lasting else alone):
            found.append(sound)
    return found


def _same_moments(one: Sound, other: Sound) -> bool:
    """Whether two names may be one sound: heard together, and neither a mere moment of the other."""
    lengths = sorted((one.account.total, other.account.total))
    return lengths[0] >= BRIEF * lengths[1] and overlap(one.account, other.account) >= SAME


def rival(facts: Facts, sound: Sound, told: Sequence[Sound]) -> Sound | None:
    """Another name of the same moments that is nearly as likely, where the sound is not sure: a siren for a horn."""
    if sound.score >= UNSURE:
        return None
    for label, chance in candidates(facts):
        if chance < RIVAL * sound.score:
            return None
        if label in HEADINGS or any(kin(label, one.label) for one in told):
            continue
        other = named(facts, label, chance)
        if other is not None and _same_moments(sound, other):
            return other
    return None


def unexplained(facts: Facts, told: Sequence[Sound]) -> Sound | None:
    """The likeliest sound of what is loud while nothing of what is told is heard: there something is for sure."""
    peaks, spans = facts.digest.peaks, _unexplained_spans(facts, told)
    if peaks is None or not spans:
        return None
    for label, chance in candidates(facts, facts.sureness.beside_guess):
        at = int(peaks.at[facts.place[label]])
        if any(kin(label, sound.label) for sound in told) or not any(start <= at < end for start, end in spans):
            continue
        sound = named(facts, label, chance)
        if sound is not None and label not in NOISES:
            return sound
    return None


def _unexplained_spans(facts: Facts, told: Sequence[Sound]) -> list[tuple[int, int]]:
    """Bins of the level that are loud, and hold little of any of these sounds."""
    level, events = facts.digest.level, [event for sound in told for event in sound.account.events]
    spans = []
    for number, own in level.bins:
        if own.highest < level.highest - 10 * SOUNDING_DB:
            continue
        start, end = number * level.width, (number + 1) * level.width
        held = np.zeros(level.width, bool)
        for event in events:
            held[max(0, event.start - NEAR - start) : max(0, event.end + NEAR - start)] = True
        if held.mean() < EXPLAINED:
            spans.append((start - TENTH, end))  # a step may begin a little before the bin in which it is heard
    return spans


def guesses(facts: Facts, most: int = 2) -> list[Sound]:
    """The likeliest names where nothing is sure."""
    found: list[Sound] = []
    for label, chance in candidates(facts):
        sound = named(facts, label, chance)
        if sound is not None and not any(kin(label, other.label) for other in found):
            found.append(sound)
        if len(found) == most:
            break
    return found or _family(facts)


def _family(facts: Facts) -> list[Sound]:
    """Of many names, none of them likely, but likely one of them: what they have in common."""
    best = facts.digest.best
    for label in FAMILIES if best is not None else ():
        members = [facts.place[name] for name in (label, *narrower(label)) if name in facts.place]
        chance = float(1 - np.prod(1 - best[members])) if best is not None and members else 0.0
        sound = named(facts, label, chance) if chance >= LIKELY else None
        if sound is not None:
            return [sound]
    return []


def candidates(facts: Facts, least: float | None = None) -> list[tuple[str, float]]:
    """Labels that may be told, the likeliest first; a heading only where nothing under it is nearly as likely."""
    best, least = facts.digest.best, facts.sureness.perhaps if least is None else least
    if best is None:
        return []
    labels, found = facts.rows.labels, []
    for place in np.argsort(-best, kind="stable")[:MOST_LABELS].tolist():
        chance, label = float(best[place]), labels[place]
        if chance < least:
            break
        if label in HEADINGS:
            below = [facts.place[name] for name in narrower(label) if name in facts.place and name not in HEADINGS]
            likelier = max(UNDER * chance, least)  # or else nothing at all would be told
            if label not in SAYABLE or (below and float(best[below].max()) >= likelier):
                continue
        found.append((label, chance))
    return _with_kit(found, float(best[facts.place[KIT]]) if KIT in facts.place else 0.0)


def _with_kit(found: list[tuple[str, float]], chance: float) -> list[tuple[str, float]]:
    parts = [own for label, own in found if label in PARTS]
    if len(parts) < 2 or min(chance, parts[1]) < ALIKE * parts[0]:
        return found
    others = [one for one in found if one[0] != KIT and one[0] not in PARTS]
    return sorted([*others, (KIT, parts[0])], key=lambda one: -one[1])


def named(facts: Facts, label: str, chance: float) -> Sound | None:
    row = facts.place[label]
    account = facts.accounts.get(row) or facts.guessed(row)
    if account is None or (label in NOISES and -100 < account.plainest[0].level / 10 < ROOM_DB):
        return None
    return Sound(label, saying(label), chance, account, facts.duration)
