"""When: beginnings and ends, what comes first, before and after, and what is heard at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from samcli.answers.facts import MOST_EVIDENCE, Evidence, Facts, Sound, amount_within
from samcli.answers.naming import by_name, of_one, one_of
from samcli.answers.phrases import Answer, Answerer, between, clock, listed, often, said
from samcli.answers.telling import guesses, sounds_to_tell
from samcli.digest.events import Account, Event
from samcli.digest.names import HEADINGS, kin
from samcli.questions.meaning import Question
from samcli.text import inflection
from samcli.text.labels import narrower

SHOWN = 12  # times that are listed
NEAR = 500  # milliseconds within which two sounds begin together
UNKNOWN = 0.2  # of a bin's silent time counts as distance


@of_one
def when(facts: Facts, sound: Sound) -> Answer:
    """Every beginning where there are a few, else the first and the last."""
    account, own = sound.account, sound.said
    first = account.first[0]
    verb = "begin" if own.nouns else "begins"
    lead = own.present if own.counted else f"{own.known()} {verb}"
    if sound.count == 1 and not own.counted:
        return _event(sound, f"{lead} at {clock(sound.start)}", first)
    if account.complete and sound.count <= SHOWN:
        counted = Counter(clock(event.start) for event in account.events)
        starts = listed([f"{at} ({often(times)})" if times > 1 else at for at, times in counted.items()])
        return _event(sound, f"{lead} {often(sound.count)}, at {starts}", *account.events[:MOST_EVIDENCE])
    last = clock(account.last[-1].start)
    return _event(sound, f"{lead} {often(sound.count)}, first at {clock(sound.start)} and last at {last}", first)


@of_one
def until(facts: Facts, sound: Sound) -> Answer:
    last = sound.account.last[-1]
    if last.end >= facts.duration - NEAR:
        return _event(sound, f"{sound.said.known()} can be heard to the end, at {clock(facts.duration)}", last)
    if sound.said.counted:
        once = "once" if sound.count == 1 else "for the last time"
        return _event(sound, f"{sound.said.present} {once}, {between(last.start, last.end)}", last)
    verb = "end" if sound.said.nouns else "ends"
    return _event(sound, f"{sound.said.known()} {verb} at {clock(last.end)}", last)


@of_one
def times(facts: Facts, sound: Sound) -> Answer:
    events = sound.account.events
    shown = list(dict.fromkeys(between(event.start, event.end) for event in events))
    if sound.account.complete and len(events) <= SHOWN:
        if all(one.startswith("at ") for one in shown):
            shown = ["at " + listed([one.removeprefix("at ") for one in shown])]
        return said(f"{sound.said.present} {listed(shown)}", facts, sound)
    first, last = clock(sound.start), clock(sound.account.last[-1].start)
    plain = listed([clock(event.start) for event in sorted(sound.account.plainest[:5])])
    return said(
        f"{sound.said.present} {often(sound.count)} between {first} and {last}, most plainly at {plain}", facts, sound
    )


def _event(sound: Sound, text: str, *events: Event) -> Answer:
    """A sentence that rests on these events."""
    label = sound.said.label
    rests = (Evidence(label, round(event.score, 4), event.start / 1000, event.end / 1000) for event in events)
    return said(text)._replace(evidence=tuple(rests))


def in_order(facts: Facts) -> list[Sound]:
    """What is told, by when it is first heard."""
    sounds = sounds_to_tell(facts) or guesses(facts, 1)
    return sorted(sounds, key=lambda sound: (sound.start, -sound.score))


def of_those(facts: Facts, question: Question) -> list[Sound]:
    """What is told, in order; of one sort alone where a question names it: "what is the first animal?" """
    sounds, name = in_order(facts), one_of(question)
    if name is None or name.label not in HEADINGS:
        return sounds
    under = narrower(name.label)
    return [sound for sound in sounds if sound.label == name.label or sound.label in under]


def first(facts: Facts, question: Question) -> Answer:
    sounds = of_those(facts, question)
    if not sounds:
        return Answer("Nothing can be made out for sure.")
    beginning = [sound for sound in sounds if sound.start <= sounds[0].start + NEAR]
    if len(beginning) > 1:
        both = listed([sound.said.present for sound in beginning[:2]])
        return said(f"{both}, together from {clock(sounds[0].start)} on", facts, *beginning[:2])
    return said(f"{sounds[0].said.present} first, at {clock(sounds[0].start)}", facts, sounds[0])


def last(facts: Facts, question: Question) -> Answer:
    sounds = of_those(facts, question)
    sounds = sorted(sounds, key=lambda sound: (-sound.account.last[-1].end, -sound.account.last[-1].start))
    if not sounds:
        return Answer("Nothing can be made out for sure.")
    end = sounds[0].account.last[-1].end
    # Of those that go on to the same end, the one that began last is what one hears come last.
    closing = [sound for sound in sounds if sound.account.last[-1].end >= end - NEAR]
    latest = max(closing, key=lambda sound: sound.account.last[-1].start)
    start = latest.account.last[-1].start
    return said(f"{latest.said.present} last, {between(start, latest.account.last[-1].end)}", facts, latest)


def before(facts: Facts, question: Question) -> Answer:
    return _beside(facts, question, later=False)


def after(facts: Facts, question: Question) -> Answer:
    return _beside(facts, question, later=True)


def _beside(facts: Facts, question: Question, later: bool) -> Answer:
    name = next(iter((*question.other, *question.asked)), None)
    sound, nothing = by_name(facts, name, presumed=True)
    if sound is None:
        return nothing
    others = [other for other in sounds_to_tell(facts) if not kin(other.label, sound.label)]
    neighbours = [
        (distance, begin, other) for other in others for distance, begin in _distances(other.account, sound, later)
    ]
    edge = sound.account.first[0].end if later else sound.start
    around = [other for other in others if _goes_on(other, edge)]
    _, begin, next_one = min(neighbours, key=lambda entry: entry[:2], default=(0, 0, None))
    around = [other for other in around if other is not next_one]
    word, how = ("after", "still") if later else ("before", "already")
    known = f"{word} {sound.said.known()},"
    if sound.score < facts.sureness.heard:
        known += f" perhaps at {clock(sound.start)},"
    going = listed([_going_on(other, how) for other in around[:2]])
    then = f"{next_one.said.present}, at {clock(begin)}" if next_one else ""
    if not going and not then:
        return said(f"nothing else can be made out {word} {sound.said.known()}", facts, sound)
    return said(f"{known} {'; '.join(filter(None, (then, going)))}", facts, sound, next_one, *around[:2])


def _going_on(sound: Sound, how: str) -> str:
    """ "a dog is still barking" """
    said = sound.said
    return f"{said.who} {'are' if said.many else 'is'} {how} {inflection.ongoing(said.deeds[0])}"


def _goes_on(sound: Sound, at: int) -> bool:
    """Whether it is heard on both sides of a moment; by bins where not all events are kept."""
    if any(event.start < at - NEAR and event.end > at + NEAR for event in sound.account.events):
        return True
    width = sound.account.width
    full = dict(sound.account.bins).get(at // width, 0) > (1 - UNKNOWN) * width
    return not sound.account.complete and full


def _distances(account: Account, sound: Sound, later: bool) -> Iterator[tuple[float, int]]:
    """How far before a sound, or after it, another is heard, and since when; by bins where not all events are kept."""
    edge = sound.account.first[0].end if later else sound.start
    for event in account.events:
        # What begins after it has begun, or has begun before it begins.
        if event.start >= sound.start + NEAR if later else event.start < sound.start - NEAR:
            yield abs(event.start - edge if later else edge - event.end), event.start
    if account.complete:
        return
    for place, amount in account.bins:
        start, end = place * account.width, (place + 1) * account.width
        apart = start - edge if later else edge - end
        if end > edge if later else start < edge:
            # where in the bin it is heard is unknown: the fuller, the nearer
            yield max(0, apart) + UNKNOWN * (account.width - amount), max(start, edge) if later else start


def at(facts: Facts, question: Question) -> Answer:
    if question.span is None:
        return first(facts, question)
    start, end = (round(1000 * edge) for edge in question.span.within(facts.duration / 1000))
    if end - start < 100:
        return Answer(f"The recording ends at {clock(facts.duration)}.")
    sounds = within(facts, start, end)
    stretch = between(start, end)
    if not sounds:
        return said(f"nothing can be made out for sure {stretch}")
    return said(f"{listed([sound.said.present for sound in sounds[:5]])} {stretch}", facts, *sounds[:5])


def within(facts: Facts, start: int, end: int) -> list[Sound]:
    """What is told of a stretch of time, by how much of it there is."""
    amounts = [(amount_within(sound.account, start, end), sound) for sound in sounds_to_tell(facts)]
    return [sound for amount, sound in sorted(amounts, key=lambda entry: -entry[0]) if amount > 0]


@of_one
def continuous(facts: Facts, sound: Sound) -> Answer:
    if sound.count == 1 and sound.share >= 0.9:
        return said(f"yes, {sound.said.present} without a break from beginning to end", facts, sound)
    if sound.count == 1:
        event = sound.account.first[0]
        return said(f"{sound.said.present} without a break, but only {between(event.start, event.end)}", facts, sound)
    return said(f"no, {sound.said.present} {often(sound.count)} with pauses between", facts, sound)


ANSWERS: Mapping[str, Answerer] = {
    "when": when, "until": until, "times": times, "first": first, "last": last, "before": before, "after": after,
    "at": at, "continuous": continuous,
}  # fmt: skip
