"""Two sounds beside each other: which comes first, whether they meet, what is heard between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from samcli.answers.facts import Facts, overlap
from samcli.answers.moments import NEAR, within
from samcli.answers.naming import two_of
from samcli.answers.phrases import Answer, Answerer, between, clock, listed, said
from samcli.digest.events import Event
from samcli.digest.names import kin
from samcli.questions.meaning import Question


def order(facts: Facts, question: Question) -> Answer:
    pair = two_of(facts, question, " whose order you ask about")
    if isinstance(pair, Answer):
        return pair
    one, other = pair
    early, late = (one, other) if one.start <= other.start else (other, one)
    words = question.text.split()
    open_ended = words[:1] in (["which"], ["what"], ["who"]) or "or" in words  # no yes or no answers these
    if abs(one.start - other.start) <= NEAR:
        no = "" if open_ended else "no, "
        return said(f"{no}they begin together, at {clock(early.start)}", facts, one, other)
    lead = "yes" if early is one else "no"
    if open_ended:
        text = f"{early.said.present} first, at {clock(early.start)}, then {late.said.present}, at {clock(late.start)}"
        return said(text, facts, one, other)
    text = f"{lead}, {early.said.present} at {clock(early.start)}, and {late.said.present} at {clock(late.start)}"
    return said(text, facts, one, other)


def between_two(facts: Facts, question: Question) -> Answer:
    """What is heard from where one sound first ends to where the other next begins."""
    pair = two_of(facts, question, presumed=True)
    if isinstance(pair, Answer):
        return pair
    early, late = sorted(pair, key=lambda sound: sound.start)
    start = early.account.first[0].end
    end = next((event.start for event in late.account.events if event.start > start), start)
    others = [sound for sound in within(facts, start, end) if not any(kin(sound.label, own.label) for own in pair)][:5]
    lead = f"between {early.said.known()} and {late.said.known()}"
    if end - start < NEAR:
        return said(f"{lead} there is no pause", facts, early, late)
    if not others:
        return said(f"{lead}, {between(start, end)}, nothing else can be made out", facts, early, late)
    return said(f"{lead}, {between(start, end)}: {listed([sound.said.ongoing for sound in others])}", facts, *others)


def together(facts: Facts, question: Question) -> Answer:
    pair = two_of(facts, question)
    if isinstance(pair, Answer):
        return pair
    one, other = pair
    shared = _meeting(one.account.events, other.account.events)
    if shared is None:
        return said(f"no, {one.said.present} and {other.said.present} at different times", facts, one, other)
    lead = "yes" if overlap(one.account, other.account) > 0.3 else "yes, for part of the time"
    return said(f"{lead}, {one.said.present} while {other.said.present}, first at {clock(shared)}", facts, one, other)


def _meeting(events: Sequence[Event], others: Sequence[Event]) -> int | None:
    starts = [max(a.start, b.start) for a in events for b in others if min(a.end, b.end) - max(a.start, b.start) > 250]
    return min(starts) if starts else None


ANSWERS: Mapping[str, Answerer] = {"order": order, "between": between_two, "together": together}
