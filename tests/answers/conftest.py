"""Recordings that never sounded: digests made of scores that say plainly what is heard when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from samcli.answers.facts import Facts, Sureness
from samcli.digest.digest import Digest, window
from samcli.digest.names import Rows
from samcli.text.labels import labels

Sounding = tuple[str, float, float]  # label, start, end in seconds
STEP = 0.08
# Whatever the shipped model is sure from, these recordings are told by one measure.
SURENESS = Sureness(0.07, 0.3, 0.4, 0.7, 0.8, 0.85, 0.38, 0.1, 0.3)


def facts_of(
    sounds: Sequence[Sounding],
    seconds: float = 120.0,
    score: float = 0.9,
    faint: Sequence[Sounding] = (),
    unsure: Sequence[Sounding] = (),
) -> Facts:
    """The facts of a recording in which these labels are heard, others less surely or next to not at all."""
    rows = Rows.of(labels(), 0.3)
    place = {label: index for index, label in enumerate(labels())}
    digest, at = Digest.empty(), 0.0
    while at < seconds:
        end = min(seconds, at + 10)
        steps = np.full((round((end - at) / STEP), len(place)), 0.003, np.float32)
        loud = [(*sound, score) for sound in sounds] + [(*sound, 0.04) for sound in faint]
        loud += [(*sound, 0.31) for sound in unsure]
        for label, start, stop, own in loud:
            first, last = (round((edge - at) / STEP) for edge in (start, stop))
            steps[max(0, first) : max(0, last), place[label]] = own
        levels = np.full(round((end - at) * 10), -50.0, np.float32)
        for _, start, stop in (*sounds, *unsure):
            levels[max(0, round((start - at) * 10)) : max(0, round((stop - at) * 10))] = -20.0
        digest = digest.followed_by(window(rows, at, end, steps, steps.max(0), levels))
        at = end
    return Facts(digest, rows, SURENESS)


@pytest.fixture(scope="session")
def made() -> Callable[..., Facts]:
    return facts_of


@pytest.fixture(scope="session")
def street() -> Facts:
    """Two minutes: rain in the first, a dog three times, a siren near the end."""
    barks = [("Bark", 10.0, 11.2), ("Bark", 30.0, 31.2), ("Bark", 70.4, 71.6)]
    return facts_of([("Rain", 0.0, 60.0), *barks, ("Siren", 90.4, 95.2)])
