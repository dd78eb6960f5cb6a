"""Captions: a sentence of what is heard, and a short paragraph of a long recording."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from samcli.answers.clock import clock, often
from samcli.answers.facts import Evidence, Facts, Sound, amount_within, overlap
from samcli.answers.telling import guesses, told
from samcli.text import inflection
from samcli.text.sayings import ONCE

SHORT = 30_000  # milliseconds up to which one sentence is enough
MOST_SHORT, MOST_LONG = 4, 8  # sounds that are told
MAIN = 0.1  # of the time, from which a sound is one of the main ones
FILLS = 0.5
THROUGHOUT = 0.85
TOGETHER = 0.6  # of the briefer one's time
NAMELESS = "A sound that is hard to name."


def caption(facts: Facts) -> tuple[str, tuple[Evidence, ...]]:
    """What is heard, and the events it rests on; a recording in which nothing was heard has no caption."""
    sounds = told(facts)
    if not sounds:
        return _guess(facts)
    if facts.duration <= SHORT:
        sounds = sorted(sounds[:MOST_SHORT], key=lambda sound: (sound.start, -sound.score))
        return sentence(facts, sounds), facts.evidence(sounds)
    sounds = sounds[:MOST_LONG]
    return paragraph(facts, sounds), facts.evidence(sorted(sounds, key=lambda sound: -sound.account.total))


def _guess(facts: Facts) -> tuple[str, tuple[Evidence, ...]]:
    sounds = guesses(facts)
    if not sounds:
        return NAMELESS, ()
    first = sounds[0]
    if len(sounds) > 1 and sounds[1].score > 0.7 * first.score:
        return capital(f"perhaps {first.said.ongoing}, or {sounds[1].said.ongoing}."), facts.evidence(sounds)
    return capital(f"perhaps {first.said.ongoing}."), facts.evidence(sounds[:1])


def sentence(facts: Facts, sounds: Sequence[Sound]) -> str:
    """One sentence of a few sounds, in the order in which they begin."""
    pick = picker(facts)
    behind = [sound for sound in sounds if sound.lasts and sound.share >= THROUGHOUT]
    front = [sound for sound in sounds if sound not in behind]
    if not front:
        front, behind = behind[:1], behind[1:]
    clauses = [front[0].said.present + manner(front[0], facts)]
    told_so_far = front[0]
    for sound in front[1:]:
        joint = overlap(sound.account, told_so_far.account) >= TOGETHER
        clauses.append((" while " if joint else "~") + _clause(sound, facts))
        told_so_far = sound
    text = _chain(clauses, pick)
    if behind:
        text = _against(text, behind, pick)
    return capital(text) + "."


def _clause(sound: Sound, facts: Facts) -> str:
    return sound.said.present + manner(sound, facts)


def manner(sound: Sound, facts: Facts) -> str:
    """How often, in a word, where that is more than once."""
    count = sound.count
    if sound.lasts or count < 2:
        return ""
    if count == 2:
        return " twice"
    if count == 3:
        return " three times"
    return " several times" if count < 8 else " again and again"


def _chain(clauses: Sequence[str], pick: Picker) -> str:
    """Clauses one after another; "~" marks one that comes later than the one before it."""
    text, later = clauses[0], 0
    for place, clause in enumerate(clauses[1:], 1):
        if not clause.startswith("~"):
            text += clause if " while " not in text else clause.replace(" while ", " as ", 1)
            continue
        later += 1
        last = place == len(clauses) - 1
        if later == 1:
            text += pick((", then ", " and then ", ", and then ")) + clause[1:] if last else f", then {clause[1:]}"
        else:
            text += pick((", and finally ", ", and at last ", ", then ")) + clause[1:] if last else f", then {clause[1:]}"
    return text


def _against(text: str, behind: Sequence[Sound], pick: Picker) -> str:
    first, *rest = behind
    other = listed([sound.said.ongoing for sound in behind])
    if rest:
        return f"{text}, with {other} all along"
    return pick((f"{text} while {first.said.present}", f"{text}, with {other} all the while", f"{first.said.present} while {text}" if " while " not in text and ", then" not in text and " and then" not in text else f"{text} while {first.said.present}"))


def paragraph(facts: Facts, sounds: Sequence[Sound]) -> str:
    """What fills a long recording, what comes now and then, what happens once and when."""
    pick = picker(facts)
    main = sorted((s for s in sounds if s.share >= MAIN), key=lambda sound: -sound.share)
    rest = sorted((s for s in sounds if s.share < MAIN), key=lambda sound: sound.start)
    sentences = []
    if main:
        sentences.append(_mainly(main, pick))
        sentences += [_where(sound, facts) for sound in main[:3] if FILLS > sound.share]
    now_and_then = [sound for sound in rest if sound.count > 1]
    once = [sound for sound in rest if sound.count <= 1]
    sentences += [_now_and_then(sound, facts) for sound in now_and_then]
    if once:
        sentences.append(_once(once, pick))
    return " ".join(capital(text) + "." for text in sentences)


def _mainly(main: Sequence[Sound], pick: Picker) -> str:
    names = [sound.said.noun for sound in main[:4]]
    if main[0].share >= THROUGHOUT:
        if len(names) == 1:
            said = main[0].said
            return pick((f"{said.noun} from beginning to end", f"{said.present} throughout"))
        return f"{names[0]} throughout, and {listed(names[1:])} for part of the time"
    if main[0].share >= FILLS:
        return f"mostly {listed([sound.said.noun for sound in main if sound.share >= FILLS])}" + (
            f", and for part of the time {listed(rest)}" if (rest := [s.said.noun for s in main[:4] if s.share < FILLS]) else ""
        )
    return pick((f"mainly {listed(names)}", f"chiefly {listed(names)}"))


def _where(sound: Sound, facts: Facts) -> str:
    """In which part a main sound that does not fill the recording is heard."""
    said = sound.said
    subject = said.known()
    if sound.count == 1:
        event = sound.account.first[0]
        return f"{subject} {'last' if said.nouns else 'lasts'} from {clock(event.start)} to {clock(event.end)}"
    verb = "come and go" if said.nouns else "comes and goes"
    return f"{subject} {verb} between {clock(sound.start)} and {clock(sound.end)}"


def _now_and_then(sound: Sound, facts: Facts) -> str:
    said, count = sound.said, sound.count
    amount = often(count) if count <= 5 else "several times" if count < 12 else "again and again"
    clause = f"{said.present} {amount}" if said.counted else f"{said.noun} {'are' if said.nouns else 'is'} heard {amount}"
    if count == 2:
        one, other = sound.account.first[0].start, sound.account.last[-1].start
        return f"{clause}, at {clock(one)} and {clock(other)}"
    half = facts.duration // 2
    if sound.end < 0.4 * facts.duration or sound.start > 0.6 * facts.duration:
        return f"{clause}, between {clock(sound.start)} and {clock(sound.end)}"
    spread = amount_within(sound.account, 0, half)
    if count > 5 and 0.2 < spread / max(1, sound.account.total) < 0.8:
        return f"now and then {clause.removesuffix(' ' + amount)}, first at {clock(sound.start)}"
    return f"{clause} between {clock(sound.start)} and {clock(sound.end)}"


def _once(sounds: Sequence[Sound], pick: Picker) -> str:
    parts = []
    for place, sound in enumerate(sounds):
        said = sound.said
        clause = said.present if said.shape == ONCE or said.counted else f"{said.noun} {'are' if said.nouns else 'is'} heard"
        parts.append(f"{clause} {'once, ' if place == 0 else ''}at {clock(sound.start)}")
    return listed(parts)


def listed(items: Sequence[str], word: str = "and") -> str:
    """ "a, b and c" """
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class Picker:
    """Takes one of several wordings, always the same one of the same recording."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, choices: Sequence[str]) -> str:
        self.seed = crc32(self.seed.to_bytes(4, "little"))
        return choices[self.seed % len(choices)]


def picker(facts: Facts, text: str = "") -> Picker:
    first = sorted(facts.accounts)[:4]
    return Picker(crc32(f"{first} {facts.duration} {text}".encode()))


def plural_verb(sound: Sound, verb: str) -> str:
    return inflection.present(verb, sound.said.nouns)
