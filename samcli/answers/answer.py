"""A question about a recording, answered from its facts.

What is heard at all, where it may have been recorded, and what is not answered stand here.
"""

from __future__ import annotations

from collections.abc import Mapping

from samcli.answers import amounts, moments, pairs, presence
from samcli.answers.captions import caption, nameless
from samcli.answers.facts import MOST_EVIDENCE, Facts
from samcli.answers.moments import at, in_order
from samcli.answers.phrases import Answer, Answerer, between, clock, listed, often, said
from samcli.answers.telling import guesses, sounds_to_tell
from samcli.questions.meaning import Question

HELP = (
    "Ask what is heard, whether a sound is there, when it begins or ends, how often, how long or how loud it is, what "
    "comes first, last, before or after it, or for a summary."
)
REFUSED = (
    "Only sounds can be recognised here, not words, names, looks or facts about the world: ask which sounds there are, "
    "when, how often or how long."
)
FOREIGN = "Only questions in English can be read here."
LISTED = 12


def which(facts: Facts, question: Question) -> Answer:
    if question.span is not None:
        return at(facts, question)
    sounds = sounds_to_tell(facts)
    if not sounds:
        maybe = guesses(facts)
        if not maybe:
            return Answer(nameless(facts))
        return said(f"perhaps {listed([sound.said.ongoing for sound in maybe], 'or')}", facts, *maybe)
    return said(listed([sound.said.ongoing for sound in sounds[:6]]), facts, *sounds[:6])


def every(facts: Facts, question: Question) -> Answer:
    sounds = in_order(facts)
    if not sounds:
        return Answer(nameless(facts))
    parts = []
    for sound in sounds[:LISTED]:
        times = (
            between(sound.start, sound.end)
            if sound.count == 1
            else f"{often(sound.count)}, first at {clock(sound.start)}"
        )
        parts.append(f"{sound.said.noun} ({times})")
    return said(listed(parts), facts, *sounds[:LISTED])


def describe(facts: Facts, question: Question) -> Answer:
    return Answer(*caption(facts))


PLACES = {
    "Inside, small room": "a small room",
    "Inside, large room or hall": "a large room or hall",
    "Inside, public space": "a public place indoors",
    "Outside, urban or manmade": "outdoors, in a town",
    "Outside, rural or natural": "outdoors, in the country",
}
OUTSIDE = frozenset(
    {
        "Rain", "Wind", "Thunder", "Thunderstorm", "Traffic noise, roadway noise", "Car passing by", "Stream", "Ocean",
        "Waves, surf", "Waterfall", "Rustling leaves", "Train", "Helicopter", "Fixed-wing aircraft, airplane",
        "Cricket", "Frog", "Owl", "Crow",
        "Bird vocalization, bird call, bird song", "Chirp, tweet", "Lawn mower", "Chainsaw",
        "Church bell", "Bird", "Car", "Truck", "Bus", "Motorcycle", "Siren",
    }
)  # fmt: skip
INSIDE = frozenset(
    {
        "Vacuum cleaner", "Toilet flush", "Typing", "Computer keyboard", "Hair dryer", "Blender", "Frying (food)",
        "Dishes, pots, and pans", "Microwave oven", "Snoring", "Sink (filling or washing)",
        "Bathtub (filling or washing)", "Toothbrush", "Electric toothbrush", "Printer", "Water tap, faucet",
        "Cupboard open or close", "Drawer open or close",
    }
)  # fmt: skip


def place(facts: Facts, question: Question) -> Answer:
    best = facts.digest.best
    rooms = {label: facts.chance(label) for label in PLACES if label in facts.place} if best is not None else {}
    likeliest = max(rooms, key=lambda label: rooms[label], default=None)
    if likeliest is not None and rooms[likeliest] >= facts.sureness.plainly:
        return said(f"it sounds like {PLACES[likeliest]}")
    sounds = sounds_to_tell(facts)
    outside = [sound for sound in sounds if sound.label in OUTSIDE]
    inside = [sound for sound in sounds if sound.label in INSIDE]
    if bool(outside) != bool(inside):
        kept = (outside or inside)[:3]
        where = "outdoors" if outside else "indoors"
        return said(f"probably {where}: {listed([sound.said.noun for sound in kept])} can be heard", facts, *kept)
    return said("whether it is indoors or outdoors is hard to tell from these sounds")


def offers(facts: Facts, question: Question) -> Answer:
    return Answer(HELP)


def refused(facts: Facts, question: Question) -> Answer:
    return Answer(REFUSED)


def foreign(facts: Facts, question: Question) -> Answer:
    return Answer(FOREIGN)


ANSWERS: Mapping[str, Answerer] = {
    "which": which, "list": every, "describe": describe, "place": place, "help": offers, "refuse": refused,
    "foreign": foreign,
}  # fmt: skip


def answer(facts: Facts, questions: tuple[Question, ...]) -> Answer:
    """All questions of one text, answered in turn; what was said once is not said again."""
    found = [answerers()[question.intent](facts, question) for question in without_told(questions)]
    texts: list[str] = []
    for one in found:
        if texts and (joined := _joined(texts[-1], one.text)):
            texts[-1] = joined
        elif not (texts and texts[-1].lower().endswith(one.text.lower())):
            texts.append(one.text)
    evidence = dict.fromkeys(event for one in found for event in one.evidence)
    ordered = sorted(list(evidence)[:MOST_EVIDENCE], key=lambda event: (event.start, event.label))
    return Answer(" ".join(texts), tuple(ordered))


def without_told(questions: tuple[Question, ...]) -> list[Question]:
    """Without a question that the next answers too: when a sound is heard tells how many times."""
    following = [*questions[1:], None]
    return [
        one
        for one, later in zip(questions, following, strict=True)
        if not (later and one.intent in ("count", "often") and later.intent == "when" and one.asked == later.asked)
    ]


def _joined(text: str, later: str) -> str:
    """ "Yes, a dog barks." and "A dog barks twice." in one sentence; nothing where they are not of one kind."""
    clause = text.removeprefix("Yes, ").rstrip(".")
    if text.startswith("Yes, ") and later[1:].startswith(f"{clause[1:]} "):
        return f"Yes, {later[:1].lower()}{later[1:]}"
    return ""


def answerers() -> Mapping[str, Answerer]:
    """Who answers which intent."""
    return {**presence.ANSWERS, **moments.ANSWERS, **pairs.ANSWERS, **amounts.ANSWERS, **ANSWERS}
