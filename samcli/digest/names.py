"""Which labels belong together: the rows of a digest, and names for one sound, of which one is to be said.

"Dog" is heard where a bark is; "Bark" too where the head says no more than "Dog". A row's score at a moment is that of
its plainest member, measured against the member's own threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from samcli.text.labels import broader, is_described, narrower
from samcli.text.labels import labels as audioset_labels

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
    ("Keys jangling", "Jingle, tinkle"),
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


# Names that tell a sort of sound, or where it was recorded, rather than a sound.
HEADINGS = frozenset(
    {
        "Animal", "Music", "Domestic animals, pets", "Wild animals", "Livestock, farm animals, working animals", "Fowl",
        "Canidae, dogs, wolves", "Vehicle", "Motor vehicle (road)", "Rail transport", "Aircraft", "Emergency vehicle",
        "Musical instrument", "Plucked string instrument", "Bowed string instrument", "Brass instrument",
        "Wind instrument, woodwind instrument", "Keyboard (musical)", "Percussion", "Mallet percussion", "Mechanisms",
        "Tools", "Liquid", "Wood", "Hands", "Sound effect", "Noise", "Environmental noise", "Domestic sounds",
        "Inside, small room", "Inside, large room or hall", "Inside, public space", "Outside, urban or manmade",
        "Outside, rural or natural", "Field recording", "Silence", "Sidetone", "Cacophony", "Effects unit",
        "Chorus effect", "Distortion", "Reverberation", "Echo", "Harmonic", "Light engine (high frequency)",
        "Medium engine (mid frequency)", "Heavy engine (low frequency)", "Speech synthesizer", "Background music",
        "Vocal music", "Song", "Theme music", "Soundtrack music", "Happy music", "Sad music", "Tender music",
        "Exciting music", "Angry music", "Scary music", "Funny music", "Music for children",
    }
)  # fmt: skip
# Those of them that may be told where nothing under them is known.
SAYABLE = frozenset(
    {
        "Animal", "Music", "Wild animals", "Vehicle", "Motor vehicle (road)", "Aircraft", "Musical instrument",
        "Percussion", "Plucked string instrument", "Brass instrument",
        "Wind instrument, woodwind instrument", "Mechanisms", "Noise",
        "Bowed string instrument", "Keyboard (musical)", "Fowl", "Rail transport", "Emergency vehicle", "Tools",
        "Liquid", "Light engine (high frequency)", "Sound effect", "Livestock, farm animals, working animals",
    }
)  # fmt: skip


@lru_cache(maxsize=1024)
def wider_names(label: str) -> frozenset[str]:
    """The wider labels above this one; none of a name that only one model has."""
    return broader(label) if is_described(label) else frozenset()


@lru_cache(maxsize=1024)
def twins(label: str) -> frozenset[str]:
    """Other names of the very same sound, neither of which is the wider: a bark and a bow-wow."""
    names = {name for group in TWINS if label in group for name in group} - {label}
    return frozenset(name for name in names if label not in wider_names(name) and name not in wider_names(label))


def kin(label: str, other: str) -> bool:
    """Whether two labels may be names of one and the same sound."""
    return label == other or label in wider_names(other) or other in wider_names(label) or other in twins(label)


def best_called(label: str, names: Sequence[str], scores: Sequence[float]) -> str:
    """Of the labels that a sound goes by, the one to say: the asked one, unless a narrower one is nearly as likely."""
    own = dict(zip(names, scores, strict=True))
    highest = max(scores)
    ranked = sorted(own, key=lambda name: (-own[name], name))
    if label in own and own[label] >= 0.6 * highest and label not in HEADINGS:
        return label
    plain = [name for name in ranked if name not in HEADINGS and own[name] >= 0.5 * highest]
    return plain[0] if plain else ranked[0]
