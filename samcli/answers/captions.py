"""Captions: a sentence of what is heard; of a long recording a paragraph."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from samcli.answers.facts import LONG, Evidence, Facts, Sound, overlap
from samcli.answers.paragraphs import paragraph
from samcli.answers.phrases import amount, capital, listed
from samcli.answers.picker import Picker, picker
from samcli.answers.telling import FILLS, THROUGHOUT, guesses, rival, sounds_to_tell, unexplained
from samcli.text import inflection
from samcli.text.sayings import ONCE

MOST_SHORT, MOST_LONG = 4, 8  # sounds that are told
ALIKE = 0.8  # of the likeliest guess: another that is told beside it
TOGETHER = 0.6  # of the briefer one's time
NAMELESS = (
    "{what} is heard{when} that is hard to name.", "there is {what}{when}, but what it is cannot be told.",
    "{what} can be heard{when}.", "it is hard to tell what makes {what}{when}.",
    "{what} is heard{when}; its source is unclear.",
    "{what} that cannot be made out is heard{when}.", "one hears {what} of an unknown kind{when}.",
)  # fmt: skip
FAINT = 200  # tenths of a decibel below the loudest moment, from where on nothing much is heard
NOUN = ""  # stands for a sentence around the noun
LATER = "~"  # before a clause of what comes later
LOUD_DB, SOFT_DB = -8.0, -36.0
BRIEF = 1000  # milliseconds
IN_PARTS = 3000  # milliseconds of a recording that has a beginning, a middle and an end
SHORT = 15  # tenths of a second
TREND_DB = 6.0  # between the halves of a sound that grows or fades


def caption(facts: Facts) -> tuple[str, tuple[Evidence, ...]]:
    """What is heard, and the events it rests on; a recording in which nothing was heard has no caption."""
    sounds = sounds_to_tell(facts)
    if not sounds:
        return _guess(facts)
    if facts.duration <= LONG:
        sounds = sorted(sounds[:MOST_SHORT], key=lambda sound: (sound.start, -sound.score))
        beside = unexplained(facts, sounds)
        return sentence(facts, sounds, beside), facts.evidence([*sounds, *([beside] if beside else [])])
    sounds = sounds[:MOST_LONG]
    return paragraph(facts, sounds), facts.evidence(sorted(sounds, key=lambda sound: -sound.account.total))


def _guess(facts: Facts) -> tuple[str, tuple[Evidence, ...]]:
    """The likeliest names, where nothing is sure."""
    sounds = guesses(facts)
    if not sounds:
        return nameless(facts), ()
    if len(sounds) > 1 and sounds[1].score < ALIKE * sounds[0].score:
        sounds = sounds[:1]
    lead = picker(facts)(("perhaps", "perhaps", "possibly", "maybe"))
    return capital(f"{lead} {listed([sound.said.ongoing for sound in sounds], 'or')}."), facts.evidence(sounds)


def nameless(facts: Facts) -> str:
    """What can be said of sounds without a name: how long and how loud they are, and when."""
    level = facts.digest.level
    tenths = sum(own.tenths for _, own in level.bins if own.highest > level.highest - FAINT)
    loudness = "loud" if level.highest > 10 * LOUD_DB else "quiet" if level.highest < 10 * SOFT_DB else ""
    if SHORT <= tenths <= 120:
        noun = f"{loudness} sound of about {inflection.number(round(tenths / 10))} seconds".strip()
    else:
        noun = ", ".join(filter(None, (_shortness(tenths), loudness))) + " sound"
    what = f"{inflection.article(noun)} {noun}"
    when = _part(level.at, facts) if tenths < SHORT else ""
    return capital(picker(facts)(NAMELESS).format(what=what, when=when))


def _shortness(tenths: int) -> str:
    return "very short" if tenths < 5 else "short" if tenths < SHORT else "long"


def sentence(facts: Facts, sounds: Sequence[Sound], beside: Sound | None) -> str:
    """One sentence of a few sounds, in the order in which they begin; what may be heard `beside` them is a guess."""
    pick = picker(facts)
    text = _told(facts, sounds, beside, pick)
    if beside is not None:
        guess = f"perhaps {beside.said.ongoing}"
        if beside.start < sounds[0].start:
            text = f"{guess}, then {text}"
        else:
            text += f", then {guess}" if beside.start > sounds[-1].start else f", and {guess}"
    return capital(text) + "."


def _told(facts: Facts, sounds: Sequence[Sound], beside: Sound | None, pick: Picker) -> str:
    if len(sounds) == 1:  # of several, two names for each would be a riddle
        other = None if beside else rival(facts, sounds[0], sounds)
        return _either(sounds[0], other, facts) or _lone(sounds[0], facts, pick)
    behind = [sound for sound in sounds if sound.lasts and sound.share >= THROUGHOUT]
    front = [sound for sound in sounds if sound not in behind]
    if not front:
        front, behind = behind[:1], behind[1:]
    clauses = [clause(front[0], facts, pick)]
    for before, sound in pairwise(front):
        joint = overlap(sound.account, before.account) >= TOGETHER
        clauses.append((" while " if joint else LATER) + clause(sound, facts, pick))
    text = _chain(clauses, pick)
    return _against(text, behind, pick) if behind else text


def _lone(sound: Sound, facts: Facts, pick: Picker) -> str:
    """A sentence of one sound: what it does, how, and when, as far as that tells something."""
    said = sound.said
    said_how = manner(sound, facts)
    placed, loudness = _placed(sound, facts) + _trend(sound, facts), _loudness(sound)
    deed = pick(said.deeds)
    present = f"{said.who} {inflection.present(deed, said.many)}"
    going = f"{said.who} {inflection.progressive(deed, said.many)}"
    if said_how:
        return f"{present}{said_how}{f',{loudness}' if loudness else ''}{placed}"
    told_as = pick((present, going, NOUN) if said.shape != ONCE else (present, present, NOUN))
    if told_as is NOUN:
        are = "are" if said.nouns else "is"
        frames = (f"{said.noun} can be heard", f"{said.noun} {are} heard", f"one hears {said.noun}")
        return pick(frames) + placed
    # How loud it is and how that changes would be a list, not a sentence.
    return f"{told_as}{'' if placed.startswith(',') else loudness}{placed}"


def _either(sound: Sound, other: Sound | None, facts: Facts) -> str:
    """A clause of two names, where the second is nearly as likely: "a cello or a double bass plays"."""
    if other is None:
        return ""
    one, two = sound.said, other.said
    if one.deeds[0] == two.deeds[0] and one.many == two.many:
        return f"{one.who} or {two.present}{manner(sound, facts)}"
    return f"{one.present} or {two.present}"


def clause(sound: Sound, facts: Facts, pick: Picker) -> str:
    said = sound.said
    return f"{said.who} {inflection.present(pick(said.deeds), said.many)}{manner(sound, facts)}"


def manner(sound: Sound, facts: Facts) -> str:
    """How often, in a word, where that is more than once."""
    return "" if sound.lasts or sound.count < 2 else f" {amount(sound)}"


def _loudness(sound: Sound) -> str:
    """Where the sound is plainly loud or soft, a word for it."""
    return " loudly" if sound.level > LOUD_DB else " softly" if -100 < sound.level < SOFT_DB else ""


def _placed(sound: Sound, facts: Facts) -> str:
    """In which part of a short recording it is heard, or for how long."""
    if sound.share >= THROUGHOUT and sound.lasts:
        return " throughout"
    if facts.duration >= IN_PARTS and sound.count == 1 and sound.share < 0.4 and not sound.lasts:
        return _part((sound.start + sound.end) / 2, facts)
    if sound.account.total < BRIEF and sound.count == 1 and sound.said.shape != ONCE:
        return " briefly"
    seconds = round(sound.account.total / 1000)
    if sound.share < THROUGHOUT and (sound.lasts or (sound.count == 1 and seconds >= 2)):
        return " for a moment" if seconds < 2 else f" for {inflection.number(seconds)} seconds"
    return ""


def _part(moment: float, facts: Facts) -> str:
    """In which part of a recording a moment lies, where it has parts."""
    if facts.duration < IN_PARTS:
        return ""
    share = moment / facts.duration
    return " at the beginning" if share < 0.3 else " at the end" if share > 0.7 else " in the middle"


def _trend(sound: Sound, facts: Facts) -> str:
    """Whether a sound that fills seconds comes nearer or goes away."""
    level = facts.digest.level
    bins = [own for number, own in level.bins if sound.start <= number * level.width < sound.end - level.width // 2]
    if sound.said.shape == ONCE or sound.share < FILLS or len(bins) < 4:
        return ""
    half = len(bins) // 2
    early, late = (sum(own.mean for own in part) / half for part in (bins[:half], bins[-half:]))
    if abs(late - early) < TREND_DB:
        return ""
    if sound.lasts:
        return ", growing louder" if late > early else ", fading away"
    return ", louder and louder" if late > early else ", more and more softly"


def _chain(clauses: Sequence[str], pick: Picker) -> str:
    """Clauses one after another; some come later than the one before, others at the same time."""
    text, later = clauses[0], 0
    for place, own in enumerate(clauses[1:], 1):
        if not own.startswith(LATER):
            text += own if " while " not in text else own.replace(" while ", " and ", 1)
            continue
        later += 1
        own = own.removeprefix(LATER)
        if place < len(clauses) - 1:
            text += f", then {own}"
        elif later == 1:
            text += pick((", then ", " and then ", ", and then ", ", then ")) + own
        else:
            text += pick((", and finally ", ", and at last ", ", and then ")) + own
    return text


def _against(text: str, behind: Sequence[Sound], pick: Picker) -> str:
    """With what goes on behind it all along."""
    first = behind[0].said
    going = listed([sound.said.ongoing for sound in behind])
    simple = not any(word in text for word in (" while ", " then ", ", and "))
    if len(behind) > 1 or not simple:
        return f"{text}, with {going} all along"
    return pick(
        (f"{text} while {first.present}", f"{text}, with {going} all the while", f"{first.present} while {text}")
    )
