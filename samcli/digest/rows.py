"""The sounds a digest keeps account of: each label with everything that is a case of it.

"Dog" is heard where a bark is; "Bark" too where the head says no more than "Dog". A row's score at a moment is that of
its plainest member, measured against the member's own threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from samcli.text.labels import labels as audioset_labels
from samcli.text.labels import narrower

Scores = NDArray[np.float32]

# Labels that one and the same sound is given: who it is, and what it does.
TWINS = (
    ("Dog", "Bark", "Bow-wow", "Yip"), ("Cat", "Meow"), ("Cattle, bovinae", "Moo"), ("Pig", "Oink"),
    ("Chicken, rooster", "Cluck"), ("Turkey", "Gobble"), ("Duck", "Quack"), ("Goose", "Honk"), ("Crow", "Caw"),
    ("Pigeon, dove", "Coo"), ("Owl", "Hoot"), ("Frog", "Croak"), ("Horse", "Neigh, whinny"),
    ("Bird vocalization, bird call, bird song", "Chirp, tweet", "Bird"), ("Rain", "Rain on surface", "Raindrop"),
    ("Telephone", "Telephone bell ringing", "Ringtone"), ("Thunder", "Thunderstorm"), ("Ocean", "Waves, surf"),
    ("Clapping", "Applause"), ("Tick", "Tick-tock", "Clock"), ("Shatter", "Breaking"), ("Fireworks", "Firecracker"),
    ("Typing", "Computer keyboard"), ("Door", "Slam"), ("Church bell", "Change ringing (campanology)"),
    ("Skidding", "Tire squeal"), ("Doorbell", "Ding-dong"), ("Screaming", "Yell", "Shout"),
    ("Burping, eructation", "Burping, eructation"), ("Keys jangling", "Jingle, tinkle"), ("Zipper (clothing)",),
    ("Mechanical fan", "Air conditioning"), ("Sheep", "Bleat"), ("Goat", "Bleat"), ("Insect", "Buzz"),
    ("Crumpling, crinkling", "Tearing"), ("Stream", "Trickle, dribble"), ("Snake", "Hiss"),
    ("Siren", "Police car (siren)", "Ambulance (siren)", "Fire engine, fire truck (siren)", "Emergency vehicle"),
    ("Creak", "Squeak"), ("Laughter", "Giggle", "Belly laugh", "Chuckle, chortle"), ("Insect", "Fly, housefly"),
)  # fmt: skip
# Wider labels whose cases AudioSet counts in, but no person does: a gunshot is no answer to "an explosion?".
APART = {"Explosion": ("Gunshot, gunfire", "Fireworks", "Burst, pop"), "Shout": ("Children shouting",)}


@dataclass(frozen=True, eq=False)
class Rows:
    """Which labels are followed, and which columns of the scores count for each."""

    labels: tuple[str, ...]
    members: tuple[NDArray[np.intp], ...]
    thresholds: Scores  # (classes,): the probability from which a class is heard
    above: NDArray[np.bool_]  # (rows, classes): the same membership as a table

    @classmethod
    def of(cls, known: Sequence[str], thresholds: Scores | float) -> Rows:
        """A row for every label of a model."""
        place = {label: index for index, label in enumerate(known)}
        members = tuple(
            np.array(sorted(place[name] for name in members_of(label) if name in place), np.intp) for label in known
        )
        above = np.zeros((len(known), len(known)), bool)
        for row, columns in enumerate(members):
            above[row, columns] = True
        limits = np.broadcast_to(np.asarray(thresholds, np.float32), (len(known),)).copy()
        return cls(tuple(known), members, limits, above)

    def __len__(self) -> int:
        return len(self.labels)


@lru_cache(maxsize=2048)
def members_of(label: str) -> frozenset[str]:
    """A label, all narrower ones, and its twins."""
    if label not in set(audioset_labels()):
        return frozenset((label,))
    apart: set[str] = set()
    for name in APART.get(label, ()):
        apart |= {name, *narrower(name)}
    own = {label, *narrower(label)} - apart
    for group in TWINS:
        if label in group and label != "Bleat":
            own |= set(group)
    return frozenset(own & set(audioset_labels()))
