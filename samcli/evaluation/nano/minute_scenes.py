"""Sixty seconds with a handful of development clips at known times, and the timeline a model makes of them.

The reference is where each clip really sounds, found from its level, not where its file lies. A model is judged on the
classes of the split's clips: finding one of those where it is not counts against it, finding others does not.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samcli.engine.hearing import Heard, Wave
from samcli.engine.options import TIMELINE_THRESHOLD
from samcli.evaluation.metrics.events import LabelledEvent
from samcli.evaluation.nano.dev_sounds import (
    FRAME,
    RATE,
    DevClip,
    DevSounds,
    at_level,
    frame_levels,
    loudest_part,
    room_tone,
)
from samcli.tasks.tag import Choice
from samcli.tasks.timeline import GAP_SECONDS, EventFinder
from samcli.training.language.sounds import WIDE_NAMES

SECONDS = 60.0
BELOW_PEAK = 10 ** (-30 / 20)  # amplitude at which a sound is over
FEWEST, MOST = 4, 7  # clips in a scene


@dataclass(frozen=True)
class MinuteScene:
    wave: Wave
    events: tuple[LabelledEvent, ...]


def minute_scenes(sounds: DevSounds, classes: dict[str, tuple[str, ...]], count: int) -> list[MinuteScene]:
    """Scenes of clips whose kinds have AudioSet names; `classes` as `timeline_classes` gives them."""
    chance = np.random.default_rng(60)
    groups = clips_by_class(sounds, classes)
    return [_scene(groups, chance) for _ in range(count)] if groups else []


def clips_by_class(sounds: DevSounds, classes: Container[str]) -> dict[str, list[DevClip]]:
    groups: dict[str, list[DevClip]] = {}
    for clip in sounds.singles:
        label = class_of(clip)
        if label is not None and label in classes:
            groups.setdefault(label, []).append(clip)
    return groups


def timeline_classes(sounds: DevSounds) -> dict[str, tuple[str, ...]]:
    """The classes of the split's clips that AudioSet can name, each with the names whose best score is its own."""
    found: dict[str, tuple[str, ...]] = {}
    for clip in sounds.singles:
        label = class_of(clip)
        if label is not None and clip.kind is not None:
            narrow = [name for name in clip.kind.audioset[1:] if name not in WIDE_NAMES]
            found[label] = tuple(dict.fromkeys((label, *found.get(label, ()), *narrow)))
    # A name that two classes claim, such as a bleat for sheep and goats, would make each a false alarm of the other.
    claims = [name for names in found.values() for name in names]
    return {
        label: tuple(n for n in names if n == label or claims.count(n) == 1) for label, names in sorted(found.items())
    }


def class_of(clip: DevClip) -> str | None:
    """The AudioSet name that stands for a clip; None when the closest one is a heading."""
    if clip.kind is None or not clip.clip.audioset:
        return None
    first = clip.clip.audioset[0]
    return first if first in clip.kind.audioset and first not in WIDE_NAMES else None


def sounding(wave: Wave) -> list[tuple[float, float]]:
    """Where a sound rises above what is left at its end: stretches in seconds, short pauses bridged."""
    levels = frame_levels(wave)
    if not levels.size or not levels.max():
        return []
    loud = levels > levels.max() * BELOW_PEAK
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]])))
    return bridged(zip((edges[::2] * FRAME / RATE).tolist(), (edges[1::2] * FRAME / RATE).tolist(), strict=True))


def bridged(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Stretches in the order of their starts; a pause too short to end an event parts none."""
    found: list[tuple[float, float]] = []
    for start, end in stretches:
        if found and start - found[-1][1] <= GAP_SECONDS:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def found_events(
    heard: Heard,
    known: Sequence[str],
    classes: dict[str, tuple[str, ...]],
    step_seconds: float,
    limits: float | tuple[float, ...] = TIMELINE_THRESHOLD,
) -> list[LabelledEvent]:
    """The timeline of one scene, in the suite's classes, by the product's own event finder.

    A class is heard as far as the best of its names, each beside its own threshold.
    """
    names = tuple(classes)
    place = {name: index for index, name in enumerate(known)}
    columns = [[place[name] for name in classes[label] if name in place] for label in names]
    least = np.broadcast_to(np.asarray(limits, np.float32), len(known)).clip(min=1e-6)
    finder = EventFinder(Choice(names, tuple(range(len(names))), len(names), 1.0), step_seconds)
    for start, end, steps in heard.steps:
        finder.add(start, end, None if steps is None else _merged(steps / least, columns))
    return [LabelledEvent(names[event.position], event.start, event.end) for event in finder.events()]


def _merged(steps: NDArray[np.float32], columns: list[list[int]]) -> NDArray[np.float32]:
    """Scores (steps, classes of the suite) from scores (steps, labels of the model)."""
    none = np.zeros(len(steps), np.float32)
    return np.stack([steps[:, own].max(1) if own else none for own in columns], axis=1)


def _scene(groups: dict[str, list[DevClip]], chance: np.random.Generator) -> MinuteScene:
    samples = round(SECONDS * RATE)
    wave = room_tone(samples, chance)
    events: list[LabelledEvent] = []
    labels = sorted(groups)
    count = min(int(chance.integers(FEWEST, MOST + 1)), len(labels))
    # One clip in each of `count` equal parts of the minute: neighbours may touch, none hides another.
    part = SECONDS / count
    for order, label in enumerate(chance.permutation(labels)[:count]):
        clip = groups[str(label)][int(chance.integers(len(groups[str(label)])))]
        sound = at_level(loudest_part(clip.wave, chance.uniform(2.0, 6.0)), chance.uniform(-28, -16))
        start = order * part + chance.uniform(0, max(0.0, part - len(sound) / RATE))
        at = round(start * RATE)
        sound = sound[: samples - at]
        wave[at : at + len(sound)] += sound
        events += [LabelledEvent(str(label), start + begin, start + end) for begin, end in sounding(sound)]
    return MinuteScene(wave, tuple(events))
