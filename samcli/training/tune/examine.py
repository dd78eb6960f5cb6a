"""A person's recordings, decoded once: what they hold, how they are split, and what would bite in training."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samcli.audio import SAMPLE_RATE, open_sound
from samcli.errors import InputError
from samcli.training.tune.held_out import hold_out
from samcli.training.tune.recordings import Found, Problem, Recording

Wave = NDArray[np.float32]
Progress = Callable[[int, int], None]
LEAST_SECONDS = 0.05  # of a stretch: less is a click that no label describes


@dataclass(frozen=True)
class LabelCount:
    """One label of the data."""

    label: str
    known: bool  # the base has this name already
    train: int
    validation: int
    seconds: float  # of the training part


@dataclass(frozen=True)
class Examined:
    """The data, ready to train on."""

    found: Found
    recordings: tuple[Recording, ...]  # readable ones, each with its split and its end
    labels: tuple[LabelCount, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    split_by: str  # given, or what was held out: folder, name, file
    contents: dict[str, str]  # path -> SHA-256 of its decoded sound

    @property
    def seconds(self) -> float:
        return sum((recording.end or 0.0) - recording.start for recording in self.recordings)

    def split(self, name: str) -> list[Recording]:
        return [recording for recording in self.recordings if recording.split == name]

    @property
    def fingerprint(self) -> str:
        """Changes when anything does that training would notice."""
        rows = sorted(repr((r, self.contents.get(r.path))) for r in self.recordings)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def examine(
    found: Found,
    known: Sequence[str] = (),
    *,
    seed: int = 0,
    keep: Callable[[str, Wave], None] | None = None,
    progress: Progress = lambda done, total: None,
) -> Examined:
    """Decode every file once; `keep` is given each path and its wave. `known`: the labels that the base has."""
    problems, notes = list(found.problems), list(found.notes)
    contents: dict[str, str] = {}
    lengths: dict[str, float] = {}
    paths = list(dict.fromkeys(recording.path for recording in found.recordings))
    for number, path in enumerate(paths, 1):
        try:
            wave, warning = decoded(found.root / path)
        except InputError as error:
            problems.append(Problem("unreadable", path, error.message))
        else:
            if warning:
                problems.append(Problem("damaged", path, f"{path!r}: {warning}"))
            contents[path], lengths[path] = content_hash(wave), len(wave) / SAMPLE_RATE
            if keep is not None:
                keep(path, wave)
        progress(number, len(paths))
    known_by = {name.casefold(): name for name in known}
    recordings = [
        replace(recording, labels=tuple(dict.fromkeys(known_by.get(x.casefold(), x) for x in recording.labels)))
        for recording in _cut(found.recordings, lengths, problems)
    ]
    split, how = hold_out(recordings, contents, seed)
    problems += _doubles(split, contents)
    counts = tuple(_counts(split, set(known)))
    for count in counts:
        if not count.train:
            problems.append(Problem("never trained", count.label, f"{count.label!r} is held out but never trained."))
        elif not count.validation:
            notes.append(f"{count.label!r} has {count.train} recordings and none held out: it will not be judged.")
    spellings = defaultdict(set)
    for count in counts:
        spellings[" ".join(count.label.casefold().replace("_", " ").replace("-", " ").split())].add(count.label)
    for names in spellings.values():
        if len(names) > 1:
            shown = " and ".join(repr(name) for name in sorted(names))
            problems.append(Problem("two spellings", sorted(names)[0], f"{shown} look like one label spelled twice."))
    if not any(recording.split == "train" for recording in split):
        problems.append(Problem("nothing to train", str(found.root), "No readable recording is left to train on."))
    return Examined(found, tuple(split), counts, tuple(problems), tuple(notes), how, contents)


def decoded(path: Path) -> tuple[Wave, str | None]:
    """A file's wave, and what was wrong with it although it could be read."""
    with open_sound(path, SAMPLE_RATE) as reader:
        wave = np.concatenate([np.zeros(0, np.float32), *reader])
        return wave, reader.warning


def content_hash(wave: Wave) -> str:
    """The same for the same sound in any lossless container: 16 bits are kept, silence around it is not."""
    samples = np.clip(np.round(wave * 32767), -32768, 32767).astype("<i2")
    loud = np.flatnonzero(samples)
    if len(loud):
        samples = samples[loud[0] : loud[-1] + 1]
    return hashlib.sha256(samples.tobytes()).hexdigest()


def _cut(recordings: Sequence[Recording], lengths: dict[str, float], problems: list[Problem]) -> Iterator[Recording]:
    """Readable recordings, each with its end."""
    for recording in recordings:
        length = lengths.get(recording.path)
        if length is None:
            continue
        end = length if recording.end is None else min(recording.end, length)
        if end - recording.start < LEAST_SECONDS:
            after = f", so nothing is left from {recording.start:g} s" if recording.start else ""
            problems.append(Problem("too short", recording.path, f"{recording.path!r} lasts {length:.2f} s{after}."))
            continue
        if recording.end is not None and recording.end > length + 0.5:
            problems.append(
                Problem(
                    "past the end",
                    recording.path,
                    f"{recording.path!r} lasts {length:.2f} s, but a row ends at {recording.end:g} s.",
                )
            )
        yield replace(recording, end=end)


def _doubles(recordings: Sequence[Recording], contents: dict[str, str]) -> Iterator[Problem]:
    """The same sound on both sides of the split, or under labels that contradict each other."""
    groups: dict[tuple[str, float, float | None], list[Recording]] = defaultdict(list)
    by_content: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        groups[contents[recording.path], recording.start, recording.end].append(recording)
        by_content[contents[recording.path]].append(recording)
    for members in by_content.values():
        train = [r for r in members if r.split == "train"]
        held = [r for r in members if r.split in ("validation", "test")]
        pair = next(((a, b) for a in train for b in held if _overlap(a, b)), None)
        if pair is not None:
            one, other = pair
            yield Problem(
                "in both splits",
                other.path,
                f"{other.path!r} ({other.split}) is the same sound as {one.path!r} (train).",
            )
    for members in groups.values():
        first = members[0]
        for other in members[1:]:
            if first.labels and other.labels and set(first.labels) != set(other.labels):
                labels = f"{', '.join(first.labels)} and {', '.join(other.labels)}"
                same = f"{first.path!r} and {other.path!r} are the same sound"
                yield Problem("two labels", other.path, f"{same}, labelled {labels}.")


def _overlap(one: Recording, other: Recording) -> bool:
    return one.start < (other.end or 0.0) and other.start < (one.end or 0.0)


def _counts(recordings: Sequence[Recording], known: set[str]) -> Iterator[LabelCount]:
    labels = dict.fromkeys(label for recording in recordings for label in recording.labels)
    for label in sorted(labels):
        mine = [recording for recording in recordings if label in recording.labels]
        train = [recording for recording in mine if recording.split == "train"]
        yield LabelCount(
            label,
            label in known,
            len(train),
            sum(recording.split == "validation" for recording in mine),
            sum((recording.end or 0.0) - recording.start for recording in train),
        )
