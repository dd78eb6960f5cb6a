"""Which recordings are held out, when the data do not say: whole sources, never single clips of one.

Clips of one recording sound alike, down to the microphone; a model that has learned some of them looks better on the
others than it is. What a source is, names tell: a folder inside a label's folder, else what a file's name has in front
of its number, else the file. The coarsest of these that still gives a label enough sources counts for that label. Two
stretches of one file, and two files with the same sound in them, are always of one source.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from samcli.training.tune.recordings import Recording

SHARE = 0.2  # of each label
LEAST_SOURCES = 3  # of a label: one to hold out and more than one to learn from
# "robin_garden_03", "robin garden (3)", "robin-garden-part2": all of "robin garden"
COUNTER = re.compile(r"[\s._-]*(?:(?:part|take|seg|segment|clip|chunk|rec|nr|no)?[\s._-]*\(?\d+\)?)$", re.IGNORECASE)


def hold_out(
    recordings: Sequence[Recording], same: Mapping[str, Hashable], seed: int = 0
) -> tuple[list[Recording], str]:
    """The recordings with a split each, and in words by what it was made. `same`: path -> what the sound is."""
    if any(recording.split == "validation" for recording in recordings):
        return [replace(recording, split=recording.split or "train") for recording in recordings], "given"
    free = [recording for recording in recordings if recording.split != "test"]
    sources, how = sources_of(free, same)
    out = _chosen(free, sources, seed)
    split = {
        recording.key: "validation" if source in out else "train"
        for recording, source in zip(free, sources, strict=True)
    }
    made = [
        recording if recording.split == "test" else replace(recording, split=split[recording.key])
        for recording in recordings
    ]
    return made, how


def sources_of(recordings: Sequence[Recording], same: Mapping[str, Hashable]) -> tuple[list[Hashable], str]:
    """The source of each recording, and in words how it was found."""
    by_label: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, recording in enumerate(recordings):
        by_label[recording.labels].append(number)
    names: list[Hashable] = [""] * len(recordings)
    used: set[str] = set()
    for members in by_label.values():
        for how, name in (("folder", _folder), ("name", _family), ("file", _file)):
            found = [name(recordings[number].path) for number in members]
            alone = len(set(found)) == len({recordings[number].path for number in members})  # finer is the same
            if how == "file" or (len(set(found)) >= LEAST_SOURCES and not alone):
                used.add(how)
                for number, source in zip(members, found, strict=True):
                    names[number] = source
                break
    roots = _united(
        [
            [source, ("file", recording.path), ("sound", same.get(recording.path, recording.path))]
            for source, recording in zip(names, recordings, strict=True)
        ]
    )
    return [roots[source] for source in names], " and ".join(how for how in ("folder", "name", "file") if how in used)


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _family(path: str) -> str:
    place = PurePosixPath(path)
    return str(place.with_name(COUNTER.sub("", place.stem) or place.stem))


def _file(path: str) -> str:
    return path


def _united(groups: Sequence[Sequence[Hashable]]) -> dict[Hashable, Hashable]:
    """Every name's representative, when the names of each group are one and the same."""
    root: dict[Hashable, Hashable] = {}

    def find(name: Hashable) -> Hashable:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for group in groups:
        first = find(group[0])
        for name in group[1:]:
            root[find(name)] = first
    return {name: find(name) for name in list(root)}


def _chosen(recordings: Sequence[Recording], sources: Sequence[Hashable], seed: int) -> set[Hashable]:
    """Sources to hold out: a fifth of each label, the rarest label first, never a label's last source."""
    clips: dict[str, dict[Hashable, int]] = defaultdict(lambda: defaultdict(int))
    for recording, source in zip(recordings, sources, strict=True):
        for label in recording.labels or ("",):
            clips[label][source] += 1

    def draw(source: Hashable) -> bytes:
        return hashlib.sha256(f"{seed} {source}".encode()).digest()

    out: set[Hashable] = set()
    for label in sorted(clips, key=lambda name: (len(clips[name]), name)):
        counts = clips[label]
        total, held = sum(counts.values()), sum(count for source, count in counts.items() if source in out)
        for source in sorted(counts.keys() - out, key=draw):
            wanted = max(1, round(SHARE * total))
            keeps_some = all(len(by.keys() - out - {source}) > 0 for by in clips.values() if source in by)
            if held >= wanted or not keeps_some:
                continue
            if held and held + counts[source] > 2 * wanted:  # a huge source would take too much of the label
                continue
            out.add(source)
            held += counts[source]
    return out
