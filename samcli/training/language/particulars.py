"""Questions about particulars: how many, in which order, how loud, when and where."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from samcli.text import inflection
from samcli.training.language import wording
from samcli.training.language.scenes import FAINT_DB, LOUD_DB, Event, Scene, clearly_before, together
from samcli.training.language.sounds import Kind, absent_kinds

Pair = tuple[str, str]


def how_many(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    counted = [(kind, count) for kind in kinds if (count := scene.count(kind)) is not None]
    if counted and rng.random() < 0.85:
        kind, count = rng.choice(counted)
        saying = rng.choice([saying for saying in kind.sayings if not saying.base.startswith("be ")] or kind.sayings)
        if saying.base.startswith("be ") or rng.random() < 0.5:
            question, unit = f"How many {kind.counted} are heard?", kind.unit if count == 1 else kind.counted
            full = f"{inflection.number(count)} {unit}"
        else:
            question = (
                f"How many times {'do' if saying.many else 'does'} {wording.specific(saying.subject)} {saying.base}?"
            )
            deed = inflection.present(saying.base, saying.many)
            full = f"{wording.specific(saying.subject)} {deed} {inflection.times(count)}"
        short = inflection.number(count) if "How many times" not in question else inflection.times(count)
        return question, wording.sentence(rng.choice((short, short, full)))
    if scene.background is None and len(kinds) == len(scene.events) and rng.random() < 0.5:
        return rng.choice(("How many different sounds are heard?", "How many sounds are there?")), wording.sentence(
            inflection.number(len(kinds))
        )
    absent = absent_kinds(kinds, 1, rng, doubtful)
    if absent and absent[0].countable:
        return f"How many {absent[0].counted} are heard?", rng.choice(
            ("None.", "None at all.", f"No {absent[0].unit} is heard.")
        )
    return None


def first_or_last(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    events = _distinct(scene)
    if len(events) < 2:
        return None
    if rng.random() < 0.6 and all(clearly_before(events[0], other) for other in events[1:]):
        question = rng.choice(
            ("What is heard first?", "Which sound comes first?", "What happens first?", "What starts the recording?")
        )
        return question, wording.answer(events[0].kind, rng)
    last = max(events, key=lambda event: event.end)
    if all(clearly_before(other, last) for other in events if other is not last):
        question = rng.choice(
            ("What is heard last?", "Which sound comes last?", "What happens at the end?", "How does it end?")
        )
        return question, wording.answer(last.kind, rng)
    return None


def neighbour(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    events = _distinct(scene)
    pairs = [(one, other) for one, other in pairwise(events) if clearly_before(one, other)]
    if not pairs:
        return None
    earlier, later = rng.choice(pairs)
    if rng.random() < 0.6:
        return wording.asked_with(
            ("What is heard after {x}?", "What comes after {x}?", "What follows {x}?"), earlier.kind, rng
        ), (wording.answer(later.kind, rng))
    return wording.asked_with(
        ("What is heard before {x}?", "What comes before {x}?", "What precedes {x}?"), later.kind, rng
    ), (wording.answer(earlier.kind, rng))


def order(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    events = _distinct(scene)
    if len(events) < 2:
        return None
    one, other = rng.sample(events, 2)
    if together(one, other) and rng.random() < 0.5:
        question = f"Are {wording.thing(one.kind, rng)} and {wording.thing(other.kind, rng)} heard at the same time?"
        return question, rng.choice(("Yes.", "Yes, at the same time."))
    if not clearly_before(one, other) and not clearly_before(other, one):
        return None
    if rng.random() < 0.3:
        question = f"Are {wording.thing(one.kind, rng)} and {wording.thing(other.kind, rng)} heard at the same time?"
        return (question, rng.choice(("No.", "No, one after the other."))) if not together(one, other) else None
    first, second = (one.kind, other.kind) if clearly_before(one, other) else (other.kind, one.kind)
    if rng.random() < 0.4:
        question = f"Which comes first, {wording.thing(one.kind, rng)} or {wording.thing(other.kind, rng)}?"
        return question, wording.answer(first, rng)
    asked_first, asked_second = (first, second) if rng.random() < 0.5 else (second, first)
    truth = "Yes" if asked_first is first else "No"
    question = f"Is {wording.thing(asked_first, rng)} heard before {wording.thing(asked_second, rng)}?"
    return question, rng.choice((f"{truth}.", f"{truth}, {wording.thing(first, rng)} comes first."))


def how_loud(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    events = _distinct(scene)
    if len(events) > 1 and rng.random() < 0.5:
        one, other = rng.sample(events, 2)
        if abs(one.level_db - other.level_db) < 9 or one.kind.base == other.kind.base:
            return None
        louder = one if one.level_db > other.level_db else other
        wish = rng.choice(("louder", "quieter"))
        right = louder if wish == "louder" else other if louder is one else one
        question = f"Which is {wish}, {wording.thing(one.kind, rng)} or {wording.thing(other.kind, rng)}?"
        return question, wording.answer(right.kind, rng)
    if not events:
        return None
    event = rng.choice(events)
    question = wording.asked_with(("How loud is {x}?", "Is {x} loud or quiet?"), event.kind, rng, single=True)
    if event.level_db < FAINT_DB:
        return question, rng.choice(("It is quiet.", "Quiet.", "It is faint.", "Very quiet."))
    if event.level_db > LOUD_DB:
        return question, rng.choice(("It is loud.", "Loud.", "Quite loud."))
    if FAINT_DB + 5 < event.level_db < LOUD_DB - 5:
        return question, rng.choice(("It is of medium loudness.", "Neither loud nor quiet.", "Medium."))
    return None


def when(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    lone = [event for event in scene.events if sum(other.kind.base == event.kind.base for other in scene.events) == 1]
    lone = [event for event in lone if event.kind in kinds]
    if not lone or scene.duration < 3:
        return None
    event = rng.choice(lone)
    if rng.random() < 0.3 and event.duration > 1.5:
        seconds = round(event.duration)
        question = wording.asked_with(
            ("How long does {x} last?", "For how long is {x} heard?"), event.kind, rng, single=True
        )
        return question, f"About {inflection.number(seconds)} seconds."
    where = wording.stretch(event.start / scene.duration, event.end / scene.duration)
    question = wording.asked_with(("When is {x} heard?", "At what point is {x} heard?"), event.kind, rng, single=True)
    return (question, wording.sentence(rng.choice(where))) if where else None


def where(scene: Scene, kinds: tuple[Kind, ...], rng: Random, doubtful: frozenset[str]) -> Pair | None:
    if scene.place is not None and rng.random() < 0.6:
        return rng.choice(("What kind of room is this?", "What kind of space is it?")), (
            wording.sentence(
                rng.choice(("it sounds like a {place}", "a {place}", "probably a {place}")).format(place=scene.place)
            )
        )
    question = rng.choice(
        (
            "Where could this be?",
            "Where might this be?",
            "What place could this be?",
            "Where was this probably recorded?",
        )
    )
    # A place fits when every sound that has a usual place could be there; a lone telling sound decides.
    telling = [kind for kind in kinds if kind.places]
    if not telling:
        return question, rng.choice(wording.UNKNOWN)
    shared = [place for place in telling[0].places if all(place in kind.places for kind in telling[1:])]
    if not shared and len(telling) > 1:
        return None
    return question, wording.sentence(
        rng.choice(("{place}", "it could be {place}", "perhaps {place}")).format(place=rng.choice(shared))
    )


def _distinct(scene: Scene) -> list[Event]:
    """The events of kinds that occur once, in order: about these, "before" and "after" have one answer."""
    return [
        event
        for event in scene.order
        if event.kind.name != "silence"
        and sum(other.kind.base == event.kind.base for other in scene.events) == 1
        and (scene.background is None or scene.background.base != event.kind.base)
    ]
