"""Recordings that are the same: to the byte, or the same sound stored, cut or levelled otherwise.

Alike is what the model's embeddings say: copies as MP3, quieter or begun a quarter of a second later lie at 0.994 or
above; of a thousand pairs of different recordings one or two lie there by chance, mostly takes of one source. What is
found is a hint to listen, not a licence to delete.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from samcli.engine.inputs.find import Input
from samcli.tasks.embed import Vector, embed

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

ALIKE = 0.995  # cosine
LENGTHS = 0.1  # that two copies may differ in, as a share of the longer, beside half a second
BLOCK = 1024  # vectors compared at once
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Copy:
    """One recording of a group."""

    group: int
    path: str
    kind: str  # exact or near
    score: float  # how like the first of its group it is
    duration: float  # seconds


def duplicates(
    inputs: Sequence[Input],
    model: SoundModel,
    alike: float = ALIKE,
    failed: Callable[[Vector], None] = lambda vector: None,
) -> Iterator[Copy]:
    """The groups of recordings that are one, each in the order of the inputs."""
    kept: list[Vector] = []
    for vector in embed(inputs, model):
        if vector.problem:
            failed(vector)
        else:
            kept.append(vector)
    places = {item.display: item.path for item in inputs}
    hashes = _hashes([places[vector.path] for vector in kept])
    groups = _joined(len(kept), [*_same(hashes), *_alike(kept, alike)])
    for number, group in enumerate(groups, 1):
        first = group[0]
        for place in group:
            vector = kept[place]
            exact = hashes[place] != "" and any(hashes[one] == hashes[place] for one in group if one != place)
            score = 1.0 if hashes[place] == hashes[first] != "" else float(vector.values @ kept[first].values)
            yield Copy(number, vector.path, "exact" if exact else "near", score, vector.end)


def _hashes(paths: Sequence[str]) -> list[str]:
    """Of the bytes of files whose sizes are shared; empty for the others, which have no like."""
    sizes = [Path(path).stat().st_size if Path(path).is_file() else -1 for path in paths]
    counts = Counter(size for size in sizes if size >= 0)
    return [_hash(path) if counts[size] > 1 else "" for path, size in zip(paths, sizes, strict=True)]


def _hash(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _same(hashes: Sequence[str]) -> Iterator[tuple[int, int]]:
    first: dict[str, int] = {}
    for place, digest in enumerate(hashes):
        if digest:
            yield first.setdefault(digest, place), place


def _alike(vectors: Sequence[Vector], alike: float) -> Iterator[tuple[int, int]]:
    """Pairs that sound alike and last about as long; silence is like nothing."""
    width = max((len(vector.values) for vector in vectors), default=0)
    values = np.zeros((len(vectors), width), np.float32)
    for place, vector in enumerate(vectors):
        values[place, : len(vector.values)] = vector.values
    lengths = np.array([vector.end for vector in vectors])
    for start in range(0, len(vectors), BLOCK):
        scores = values[start : start + BLOCK] @ values.T
        for row, column in zip(*np.nonzero(scores >= alike), strict=True):
            one, other = int(row) + start, int(column)
            longest = max(lengths[one], lengths[other])
            if one < other and abs(lengths[one] - lengths[other]) <= max(0.5, LENGTHS * longest):
                yield one, other


def _joined(count: int, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Groups of two and more that pairs connect, in order."""
    root = list(range(count))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    for one, other in pairs:
        low, high = sorted((find(one), find(other)))
        root[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(count):
        groups[find(place)].append(place)
    return [group for group in groups.values() if len(group) > 1]
