"""The caption of a long recording: a short paragraph."""

from __future__ import annotations

from collections.abc import Sequence

from samcli.answers.facts import Facts, Sound, amount_within
from samcli.answers.phrases import amount, between, capital, clock, listed, series
from samcli.answers.picker import Picker, picker
from samcli.answers.telling import FILLS, MAIN, THROUGHOUT

MOST_MAIN = 6  # of the main sounds
MOST_TIMES = 4  # of one sound that are listed
MOST_PLACED, PLACED = 2, 0.6  # main sounds of which is told when: those of a part of the time
SCATTERED = 5  # times, beyond which a sound may be heard all over a recording


def paragraph(facts: Facts, sounds: Sequence[Sound]) -> str:
    """What fills a long recording, what comes now and then, what happens once and when."""
    pick = picker(facts)
    main = sorted((s for s in sounds if s.share >= MAIN), key=lambda sound: -sound.share)
    rest = sorted((s for s in sounds if s.share < MAIN), key=lambda sound: sound.start)
    sentences = []
    placed = [sound for sound in main if sound.end - sound.start < PLACED * facts.duration]
    if len(main) == 1 and placed:
        sentences.append(f"{main[0].said.present} {_stretch(main[0])}")
    elif main:
        sentences.append(_mainly(main, pick))
        sentences += [_where(sound) for sound in placed[:MOST_PLACED]]
    scattered = [sound for sound in rest if _scattered(sound, facts)]
    repeated = [sound for sound in rest if sound.count > 1 and sound not in scattered]
    if scattered:
        parts = [f"{sound.said.present} (first at {clock(sound.start)})" for sound in scattered]
        sentences.append(f"now and then, {series(parts)}")
    sentences += [_repeated(sound) for sound in repeated]
    once = [sound for sound in rest if sound.count <= 1]
    if once:
        sentences.append(series([_once(sound, alone=len(once) == 1) for sound in once]))
    return " ".join(capital(text) + "." for text in sentences)


def _mainly(main: Sequence[Sound], pick: Picker) -> str:
    """One sentence of what fills the time."""
    clauses = [sound.said.present for sound in main[:MOST_MAIN]]
    most = [sound for sound in main[:MOST_MAIN] if sound.share >= FILLS]
    rest = clauses[len(most) :]
    if not most:
        return f"{pick(('for part of the time', 'at times'))}, {series(clauses)}"
    text = series(clauses[: len(most)])
    if main[0].share >= THROUGHOUT:
        text = f"{text} {pick(('throughout', 'from beginning to end', 'nearly all the time'))}"
    else:
        text = f"{pick(('most of the time', 'for the most part'))}, {text}"
    return f"{text}; for part of the time, {series(rest)}" if rest else text


def _where(sound: Sound) -> str:
    """In which part a main sound that does not fill the recording is heard."""
    return f"{sound.said.known()} {'are' if sound.said.nouns else 'is'} heard {_stretch(sound)}"


def _stretch(sound: Sound) -> str:
    """ "from 0:10 to 0:25", "on and off between 0:10 and 1:25" """
    if sound.count == 1:
        return between(sound.start, sound.end)
    return f"on and off between {clock(sound.start)} and {clock(sound.end)}"


def _scattered(sound: Sound, facts: Facts) -> bool:
    """Whether it is heard many times, and all over the recording."""
    account = sound.account
    if sound.count <= SCATTERED or sound.end < 0.4 * facts.duration or sound.start > 0.6 * facts.duration:
        return False
    return 0.2 < amount_within(account, 0, facts.duration // 2) / max(1, account.total) < 0.8


def _repeated(sound: Sound) -> str:
    """What is heard a few times, or many times in one part: how often and when."""
    said = sound.said
    stretch = f"between {clock(sound.start)} and {clock(sound.end)}"
    starts = list(dict.fromkeys(clock(event.start) for event in sound.account.events))
    shown = sound.account.complete and len(starts) <= MOST_TIMES
    if not said.counted:
        return f"{said.present} {f'at {listed(starts)}' if shown else f'on and off {stretch}'}"
    if shown and sound.in_bouts:  # their times tell how many there are, and not how many barks
        return f"{said.present} at {listed(starts)}"
    return f"{said.present} {amount(sound)}{f', at {listed(starts)}' if shown else f' {stretch}'}"


def _once(sound: Sound, alone: bool) -> str:
    if not sound.said.counted:
        return f"{sound.said.present} {between(sound.start, sound.end)}"
    return f"{sound.said.present} {'once, ' if alone else ''}at {clock(sound.start)}"
