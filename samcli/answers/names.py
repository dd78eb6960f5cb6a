"""Names for one sound: which of them to say, and which are no names of a sound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from samcli.digest.rows import TWINS
from samcli.text.labels import broader, is_described

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
