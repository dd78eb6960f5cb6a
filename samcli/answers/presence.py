"""Is it there: one sound, several, one of several, none, what else."""

from __future__ import annotations

import re
from collections.abc import Mapping

from samcli.answers.facts import Facts, Sound, kept_within
from samcli.answers.naming import NO_SOUND_NAMED, missing, named, not_known, sound_of
from samcli.answers.phrases import Answer, Answerer, between, capital, listed, often, said
from samcli.answers.telling import guesses, sounds_to_tell
from samcli.digest.names import kin
from samcli.questions.meaning import Name, Question
from samcli.text.inflection import article
from samcli.text.labels import narrower
from samcli.text.sayings import saying

MOST_KINDS = 6  # that are listed
# What people mean by a word, and the table of labels keeps apart.
BESIDE = {"Animal": ("Livestock, farm animals, working animals", "Canidae, dogs, wolves", "Insect")}
TIMES = re.compile(r"(?<!least )(?<!than )\b(?:once|twice|\w+ times)\b")  # "did it bark twice?"


def present(facts: Facts, question: Question) -> Answer:
    name = named(question)
    if isinstance(name, Answer):
        return name
    if len(question.asked) > 1:
        return both(facts, question)
    if name.label == "Silence":
        return silent(facts, question)
    sound = sound_of(facts, name)
    if sound is None:
        return said(f"no, {missing(name)}")
    if question.span is not None:
        return _present_within(facts, name, sound, question)
    number = TIMES.search(question.text)
    if number is not None and sound.said.counted:
        fits = number[0] in (often(sound.count), f"{sound.count} times")
        return said(f"{'yes' if fits else 'no'}, {sound.said.present} {often(sound.count)}", facts, sound)
    lead = "yes, " if sound.score >= facts.sureness.plainly else "yes, it seems that "
    return said(f"{lead}{sound.said.present}", facts, sound)


def _present_within(facts: Facts, name: Name, sound: Sound, question: Question) -> Answer:
    assert question.span is not None
    start, end = (round(1000 * edge) for edge in question.span.within(facts.duration / 1000))
    events = kept_within(sound.account, start, end)
    if events:
        return said(
            f"yes, {sound.said.present} {between(max(start, events[0].start), min(end, events[0].end))}", facts, sound
        )
    return said(f"no, {missing(name)} then")


def silent(facts: Facts, question: Question) -> Answer:
    quiet = facts.duration - facts.digest.heard
    if not facts.digest.heard:
        return said("yes, it is silent from beginning to end")
    sounds = sounds_to_tell(facts)
    naming = f"{listed([sound.said.noun for sound in sounds[:3]])} can be heard" if sounds else "there is sound"
    if quiet > 0:
        share = round(100 * quiet / facts.duration)
        return said(f"no, {naming}, but about {max(1, share)} % of it is silent", facts, *sounds[:3])
    return said(f"no, {naming}", facts, *sounds[:3])


def absent(facts: Facts, question: Question) -> Answer:
    name = named(question)
    if isinstance(name, Answer):
        return name
    sound = sound_of(facts, name)
    if sound is None:
        return said(f"that is right: {missing(name)}")
    return said(f"that is not so: {sound.said.present}", facts, sound)


def both(facts: Facts, question: Question) -> Answer:
    names = question.asked or question.other
    if len(names) < 2:
        return present(facts, question)
    unknown = next((name for name in names if name.label is None), None)
    if unknown is not None:
        return not_known(unknown)
    found = [sound_of(facts, name) for name in names]
    here = [sound for sound in found if sound is not None]
    gone = [name for name, sound in zip(names, found, strict=True) if sound is None]
    if not gone:
        return said(f"yes, {listed([sound.said.present for sound in here])}", facts, *here)
    nothing = listed([missing(name) for name in gone])
    if not here:
        return said(f"no, {nothing}")
    return said(f"no: {listed([sound.said.present for sound in here])}, but {nothing}", facts, *here)


def choice(facts: Facts, question: Question) -> Answer:
    names = question.asked or question.other
    known = [(_chance(facts, name), -place) for place, name in enumerate(names) if name.label is not None]
    if not known:
        return not_known(names[0]) if names else Answer(NO_SOUND_NAMED)
    if len(names) == 1:
        return present(facts, question)
    best, place = max(known)
    name = names[-place]
    assert name.label is not None
    sound = sound_of(facts, name)
    if len(question.lettered) == len(names):
        return said("", facts, sound)._replace(text=f"{question.lettered[-place]}) {name.words}.")
    if best < facts.sureness.heard / 2:
        return said(
            f"neither: {listed([missing(one) for one in names if one.label])}"
            if len(names) == 2
            else "none of them is heard"
        )
    others = [sound_of(facts, one) for one in names if one is not name and one.label and not kin(one.label, name.label)]
    real = [one for one in others if one is not None and one.score > 0.6 * best]
    if sound is not None and real and len(names) == 2:
        return said(f"both: {sound.said.present}, and {real[0].said.present}", facts, sound, *real)
    if sound is None:
        return said(f"perhaps {saying(name.label).noun}")
    return said(saying(name.label).noun, facts, sound)


def _chance(facts: Facts, name: Name) -> float:
    return 0.0 if name.kind and sound_of(facts, name) is None else facts.chance(name.label or "")


def absent_of(facts: Facts, question: Question) -> Answer:
    names = [name for name in (*question.asked, *question.other) if name.label is not None]
    if not names:
        return Answer(NO_SOUND_NAMED)
    found = [(name, sound_of(facts, name)) for name in names]
    gone = [name for name, sound in found if sound is None]
    here = [sound for _, sound in found if sound is not None]
    if not gone:
        # All are heard, or seem to be: the one that is least likely.
        return said(f"all of them are heard: {listed([sound.said.noun for sound in here])}", facts, *here)
    nouns = [f"{article(name.kind)} {name.kind}" if name.kind else saying(name.label or "").noun for name in gone]
    return said(
        f"{listed(nouns)} {'is' if len(gone) == 1 and not saying(gone[0].label or '').nouns else 'are'} not heard",
        facts,
        *here,
    )


def kind(facts: Facts, question: Question) -> Answer:
    name = named(question)
    if isinstance(name, Answer):
        return name
    label = name.label or ""
    tops = (label, *BESIDE.get(label, ()))
    under = {one for top in tops for one in (top, *narrower(top))}
    sounds = [sound for sound in (*sounds_to_tell(facts), *guesses(facts, 6)) if sound.label in under - {label}]
    sounds = list({sound.label: sound for sound in sounds}.values())
    sure = [sound for sound in sounds if sound.score >= facts.sureness.plainly]
    if sure:
        return said(listed([sound.said.noun for sound in sure[:MOST_KINDS]]), facts, *sure[:MOST_KINDS])
    whole = facts.sound(label)
    if whole is not None:
        if sounds:
            return said(f"perhaps {sounds[0].said.noun}", facts, sounds[0])
        return said(f"{whole.said.noun}, but of which kind is hard to tell", facts, whole)
    return said(missing(name))


def other_than(facts: Facts, question: Question) -> Answer:
    names = (*question.asked, *question.other)
    labels = [name.label for name in names if name.label is not None]
    rest = [sound for sound in sounds_to_tell(facts) if not any(kin(sound.label, label) for label in labels)]
    what = listed([saying(label).noun for label in labels]) or "that"
    if not rest:
        return said(f"no, nothing besides {what} can be made out")
    return said(f"besides {what}, {listed([sound.said.present for sound in rest[:5]])}", facts, *rest[:5])


def only(facts: Facts, question: Question) -> Answer:
    name = named(question)
    if isinstance(name, Answer):
        return name
    sound = sound_of(facts, name)
    rest = [other for other in sounds_to_tell(facts) if not kin(other.label, name.label or "")]
    naming = listed([other.said.present for other in rest[:4]])
    if sound is None:
        return said(f"no, {missing(name)}" + (f"; {naming}" if rest else ""), facts, *rest[:4])
    if rest:
        return said(f"no, {naming} as well", facts, sound, *rest[:4])
    return said(f"yes, nothing but {sound.said.noun} can be made out", facts, sound)


def sure(facts: Facts, question: Question) -> Answer:
    name = named(question)
    if isinstance(name, Answer):
        return name
    chance, own = _chance(facts, name), saying(name.label or "")
    sound = sound_of(facts, name)
    if sound is None:
        return said(f"{own.noun} is unlikely: its score is {chance:.2f} of 1")
    degree = "very likely" if chance >= 0.8 else "likely" if chance >= 0.5 else "possible, but not sure"
    verb = "are" if sound.said.nouns else "is"
    return said(f"{capital(sound.said.noun)} {verb} {degree}: the best score is {chance:.2f} of 1", facts, sound)


ANSWERS: Mapping[str, Answerer] = {
    "present": present, "absent": absent, "both": both, "choice": choice, "absent_of": absent_of, "kind": kind,
    "else": other_than, "only": only, "sure": sure, "silent": silent,
}  # fmt: skip
