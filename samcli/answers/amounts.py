"""How much: counts, lengths, shares, levels, and comparisons of them."""

from __future__ import annotations

from collections.abc import Mapping

from samcli.answers.facts import Facts, Sound, kept_within
from samcli.answers.moments import in_order
from samcli.answers.naming import by_name, found, of_one
from samcli.answers.phrases import Answer, Answerer, between, clock, how_many, lasting, listed, often, percent, said
from samcli.answers.telling import sounds_to_tell
from samcli.questions.meaning import Question

NEARLY = 0.1  # two amounts that differ by less of the greater are called alike
NEARLY_DB = 2.0
MOST_LISTED = 12  # kinds of sound
LEAST_OF_A_MINUTE = 30  # seconds, from which a pace a minute tells something
NOTHING = Answer("Nothing can be made out for sure.")


def count(facts: Facts, question: Question) -> Answer:
    sound, nothing = found(facts, question)
    if sound is None:
        return (
            nothing._replace(text=f"Not once: {nothing.text[:1].lower()}{nothing.text[1:]}")
            if nothing.text.startswith("No ")
            else nothing
        )
    number, where = often(sound.count), ""
    if question.span is not None:
        start, end = (round(1000 * edge) for edge in question.span.within(facts.duration / 1000))
        if not sound.account.complete:
            return said(
                f"{sound.named.noun} {_are(sound)} heard {number} in all; how often then is not known", facts, sound
            )
        inside = len(kept_within(sound.account, start, end))
        if not inside:
            return said(f"not once {between(start, end)}")
        number, where = often(inside), f" {between(start, end)}"
    elif sound.in_bouts and sound.count > 1:
        where = f", about {lasting(sound.account.total // sound.count)} each"
    if sound.said.counted:
        return said(f"{sound.said.present} {number}{where}", facts, sound)
    if sound.count > 1 and question.span is None:
        return said(f"{sound.named.noun} can be heard {_in_stretches(sound)}", facts, sound)
    return said(f"{sound.named.noun} {_are(sound)} heard {number}{where}", facts, sound)


def _in_stretches(sound: Sound) -> str:
    """Of what lasts, where it breaks off is not when it happens again."""
    return f"for {lasting(sound.account.total)} in all, in {how_many(sound.count)} stretches"


@of_one
def how_often(facts: Facts, sound: Sound) -> Answer:
    number, seconds = often(sound.count), facts.duration / 1000
    if sound.count > 1 and not sound.said.counted:
        return said(f"{sound.named.noun} can be heard {_in_stretches(sound)}", facts, sound)
    start = f"{sound.said.present if sound.said.counted else f'{sound.named.noun} {_are(sound)} heard'} {number}"
    if sound.count < 2:
        return said(f"{start}, {between(sound.start, sound.end)}", facts, sound)
    every, pace = seconds / sound.count, ""
    if every >= 2:
        pace = f", about every {lasting(round(1000 * every)).removeprefix('1 ')}"
    elif seconds >= LEAST_OF_A_MINUTE:
        pace = f", about {how_many(round(60 / every))} times a minute"
    return said(f"{start} in {lasting(facts.duration)}{pace}", facts, sound)


@of_one
def how_long(facts: Facts, sound: Sound) -> Answer:
    if sound.count == 1:
        total = lasting(sound.account.total)
        return said(f"{sound.said.present} for {total}, {between(sound.start, sound.end)}", facts, sound)
    return said(f"{sound.said.present} {_in_stretches(sound)}", facts, sound)


@of_one
def share(facts: Facts, sound: Sound) -> Answer:
    return said(f"{sound.named.noun} can be heard for {percent(sound.share)}", facts, sound)


def longest(facts: Facts, question: Question) -> Answer:
    sounds = in_order(facts)
    if not sounds:
        return NOTHING
    sound = max(sounds, key=lambda one: one.account.longest.length if one.account.longest else 0)
    event = sound.account.longest
    assert event is not None
    return said(
        f"{sound.named.noun}: {lasting(event.length)} without a break, {between(event.start, event.end)}", facts, sound
    )


def main(facts: Facts, question: Question) -> Answer:
    sounds = in_order(facts)
    if not sounds:
        return NOTHING
    sound = max(sounds, key=lambda one: one.account.total)
    return said(f"{sound.named.noun}, for {percent(sound.share)}", facts, sound)


def rare(facts: Facts, question: Question) -> Answer:
    sounds = sounds_to_tell(facts)
    if not sounds:
        return NOTHING
    once = [sound for sound in sounds if sound.count == 1 and sound.share < 0.5]
    if len(once) == 1:
        return said(f"{once[0].said.present} once, {between(once[0].start, once[0].end)}", facts, once[0])
    if once:
        once = sorted(once[:4], key=lambda sound: sound.start)
        parts = [f"{sound.said.noun} (at {clock(sound.start)})" for sound in once]
        return said(f"heard once each: {listed(parts)}", facts, *once)
    sound = min(sounds, key=lambda one: (one.count, one.account.total))
    return said(
        f"nothing is heard only once; the rarest is {sound.named.noun}, heard {often(sound.count)}", facts, sound
    )


def loudest(facts: Facts, question: Question) -> Answer:
    sounds = [sound for sound in in_order(facts) if sound.account.loudest]
    if not sounds:
        return NOTHING
    sound = max(sounds, key=lambda one: (one.level, one.score))
    return said(f"the loudest sound is {sound.named.noun}, {_when_loudest(sound)}", facts, sound)


def loudest_at(facts: Facts, question: Question) -> Answer:
    if not facts.digest.level.bins:
        return NOTHING
    at = facts.digest.level.at
    here = [sound for sound in in_order(facts) if any(e.start <= at <= e.end for e in sound.account.events)]
    naming = f", when {here[0].said.present}" if here else ""
    return said(f"it is loudest at {clock(at)}{naming}", facts, *here[:1])


def quietest_at(facts: Facts, question: Question) -> Answer:
    level = facts.digest.level
    if not level.bins:
        return NOTHING
    full = [(number, own) for number, own in level.bins if own.tenths * 100 >= level.width // 2] or list(level.bins)
    number, own = min(full, key=lambda entry: entry[1].mean)
    start, end = number * level.width, min(facts.duration, (number + 1) * level.width)
    return said(f"it is quietest {between(start, end)}, at {own.mean:.0f} dB of full scale")


@of_one
def loud(facts: Facts, sound: Sound) -> Answer:
    below = facts.digest.level.highest / 10 - sound.level
    word = "loud" if sound.level > -20 else "quiet" if sound.level < -40 else "neither loud nor quiet"
    beside = "the loudest there is" if below < 1 else f"{below:.0f} dB below the loudest"
    are = "are" if sound.said.nouns else "is"
    return said(
        f"{sound.said.known()} {are} {word}: {sound.level:.0f} dB of full scale at most, {beside}", facts, sound
    )


def more(facts: Facts, question: Question) -> Answer:
    pair = _pair(facts, question)
    if isinstance(pair, Answer):
        return pair
    one, other = pair
    by_length = "long" in question.text or "time" in question.text
    by_count = "often" in question.text or "frequent" in question.text or "how many" in question.text
    by_count = by_count or (one.said.counted and other.said.counted and not by_length)
    a, b = (one.count, other.count) if by_count else (one.account.total, other.account.total)
    amounts = (often(a), often(b)) if by_count else (lasting(a), lasting(b))
    names = one.named.known(), other.named.known()
    if a == b or (not by_count and abs(a - b) < NEARLY * max(a, b)):
        how = "equally often" if by_count else "about as long"
        each = f"{amounts[0]} each" if amounts[0] == amounts[1] else listed(amounts)
        return said(f"{listed(names)} are heard {how}: {each}", facts, one, other)
    (most, least), (much, little) = ((names), (amounts)) if a > b else (names[::-1], amounts[::-1])
    are = "are" if (one if a > b else other).named.nouns else "is"
    how = "more often" if by_count else "for longer"
    return said(f"{most} {are} heard {how} than {least}: {much} against {little}", facts, one, other)


def louder(facts: Facts, question: Question) -> Answer:
    pair = _pair(facts, question)
    if isinstance(pair, Answer):
        return pair
    one, other = pair
    difference = one.level - other.level
    if abs(difference) < NEARLY_DB:
        return said(f"{one.named.noun} and {other.named.noun} are about equally loud", facts, one, other)
    up, down = (one, other) if difference > 0 else (other, one)
    return said(
        f"{up.named.noun} {_are(up)} louder than {down.named.noun}, by {abs(difference):.0f} dB", facts, one, other
    )


def _pair(facts: Facts, question: Question) -> tuple[Sound, Sound] | Answer:
    names = (*question.asked, *question.other)
    if len(names) < 2:
        return Answer("Please name the two sounds that are to be compared.")
    pair = [by_name(facts, name) for name in names[:2]]
    (one, nothing), (other, missed) = pair
    if one is not None and other is not None:
        return one, other
    if one is None and other is None:
        return said(f"{_sentence(nothing)}, and {_sentence(missed)}")
    here, text = (one, missed) if one is not None else (other, nothing)
    assert here is not None
    return said(f"{here.named.noun}: {_sentence(text)}", facts, here)


def _sentence(answer: Answer) -> str:
    text = answer.text.rstrip(".")
    return text if text.startswith('"') else text[:1].lower() + text[1:]


def kinds(facts: Facts, question: Question) -> Answer:
    sounds = sounds_to_tell(facts)
    if not sounds:
        return NOTHING
    others = ["others"] if len(sounds) > MOST_LISTED else []
    naming = listed([*(sound.named.noun for sound in sounds[:MOST_LISTED]), *others])
    text = f"{how_many(len(sounds))} {'kind' if len(sounds) == 1 else 'kinds'} of sound: {naming}"
    return said(text, facts, *sounds)


def length(facts: Facts, question: Question) -> Answer:
    return said(f"the recording lasts {lasting(facts.duration)}")


def _are(sound: Sound) -> str:
    return "are" if sound.named.nouns else "is"


def _when_loudest(sound: Sound) -> str:
    event = sound.account.loudest
    return f"at {clock(event.start)}" if event else ""


ANSWERS: Mapping[str, Answerer] = {
    "count": count, "often": how_often, "long": how_long, "share": share, "longest": longest, "main": main,
    "rare": rare, "loudest": loudest, "loudest_at": loudest_at, "quietest_at": quietest_at, "loud": loud, "more": more,
    "louder": louder, "kinds": kinds, "length": length,
}  # fmt: skip
