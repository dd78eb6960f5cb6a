"""Sixty scenes of half a minute to two hours, made of development clips, and what is true of them.

A scene is a row of ten-second windows of which some are the same sound again: two to six main sounds in spells, alone
or two at once, stretches of room tone, and one rare sound that comes once. The encoder hears windows one by one, so a
window that comes again is heard again exactly as before: each different one is rendered and encoded once, and the
scene's digest is what two hours of the rendered audio would give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from samcli.audio.waves import levels_db
from samcli.digest.digest import Digest, window
from samcli.digest.names import Rows
from samcli.engine.hearing import Heard, Wave, hear
from samcli.evaluation.nano.dev_sounds import (
    RATE,
    DevClip,
    DevSounds,
    at_level,
    distinguishable,
    loudest_part,
    room_tone,
)
from samcli.evaluation.nano.minute_scenes import bridged, class_of, clips_by_class, sounding, timeline_classes
from samcli.models.interface import SoundModel

MINUTES = (0.5, 1, 2, 5, 10, 30, 60, 120)
SCENES = 60
WINDOW = 10.0  # seconds
SEED = 2200
RARE_SECONDS = (1.5, 5.0)
MAIN_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class RenderedWindow:
    """One rendered window: its sound, and when each clip sounds in it."""

    wave: Wave
    stretches: dict[int, list[tuple[float, float]]]  # by number of the clip


@dataclass(frozen=True, eq=False)
class LongScene:
    """Windows in their order; clips by number, the last of them rare."""

    clips: tuple[DevClip, ...]
    rendered: tuple[RenderedWindow, ...]
    order: tuple[int, ...]  # numbers of rendered windows, one every ten seconds

    @property
    def seconds(self) -> float:
        return WINDOW * len(self.order)

    @property
    def rare(self) -> int:
        return len(self.clips) - 1

    def events(self, number: int) -> list[tuple[float, float]]:
        """When a clip sounds, in seconds, over the whole scene."""
        return bridged(
            (place * WINDOW + start, place * WINDOW + end)
            for place, number_rendered in enumerate(self.order)
            for start, end in self.rendered[number_rendered].stretches.get(number, ())
        )

    def share(self, number: int) -> float:
        return sum(end - start for start, end in self.events(number)) / self.seconds

    def label(self, number: int) -> str:
        label = class_of(self.clips[number])
        assert label is not None
        return label


@dataclass
class _Renderer:
    """Windows of a scene, each rendered once."""

    clips: Sequence[DevClip]
    chance: np.random.Generator
    rendered: list[RenderedWindow] = field(default_factory=list)
    known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def number_of(self, key: tuple[object, ...], numbers: Sequence[int]) -> int:
        if key not in self.known:
            self.known[key] = len(self.rendered)
            self.rendered.append(self._render(numbers))
        return self.known[key]

    def _render(self, numbers: Sequence[int]) -> RenderedWindow:
        samples = round(WINDOW * RATE)
        wave = room_tone(samples, self.chance)
        stretches: dict[int, list[tuple[float, float]]] = {}
        for number in numbers:
            clip = self.clips[number]
            level = self.chance.uniform(-28, -18)
            once = number == len(self.clips) - 1  # the rare one
            lasting = clip.kind is not None and clip.kind.shape == "lasting" and not once
            starts, sound = _places(clip, lasting, once, self.chance)
            for start in starts:
                at = round(start * RATE)
                part = at_level(sound, level)[: samples - at]
                wave[at : at + len(part)] += part
                for begin, end in sounding(part):
                    stretches.setdefault(number, []).append((start + begin, start + end))
        return RenderedWindow(
            wave,
            {
                number: bridged((start, min(end, WINDOW)) for start, end in sorted(found))
                for number, found in stretches.items()
            },
        )


def long_scenes(sounds: DevSounds, count: int = SCENES) -> list[LongScene]:
    """As many scenes of each length, one after another; every one from a seed of its own."""
    groups = clips_by_class(sounds, timeline_classes(sounds))
    return [_scene(groups, MINUTES[number % len(MINUTES)], number) for number in range(count)] if groups else []


class Kept(NamedTuple):
    """What a model keeps of a scene, and what it would know if it kept nothing but its last window."""

    whole: Digest
    last: Digest


def digests(
    model: SoundModel, scenes: Sequence[LongScene], rows: Rows, progress: Callable[[int, int], None] | None = None
) -> list[Kept]:
    found = []
    for done, scene in enumerate(scenes, 1):
        heard = hear(model, [one.wave for one in scene.rendered], rate=RATE, steps=True)
        found.append(Kept(digest_of(scene, heard, rows), digest_of(scene, heard, rows, len(scene.order) - 1)))
        if progress is not None:
            progress(done, len(scenes))
    return found


def digest_of(scene: LongScene, heard: Sequence[Heard], rows: Rows, first: int = 0) -> Digest:
    """Of a scene; of its later windows alone, with silence before them, where nothing earlier is remembered."""
    levels = [levels_db(one.wave, RATE) for one in scene.rendered]
    digest = window(rows, 0.0, first * WINDOW, None) if first else Digest.empty()
    for place, number in enumerate(scene.order[first:], first):
        at = place * WINDOW
        steps, clip = heard[number].steps[0][2], heard[number].tags
        digest = digest.followed_by(window(rows, at, at + WINDOW, steps, clip, levels[number]))
    return digest


def _scene(groups: dict[str, list[DevClip]], minutes: float, number: int) -> LongScene:
    chance = np.random.default_rng(SEED + number)
    windows = round(minutes * 60 / WINDOW)
    wanted = min(int(chance.integers(2, 7)), max(2, windows - 1))  # a main sound and the rare one need a window each
    clips = _clips(groups, wanted + 1, chance)
    renderer = _Renderer(clips, chance)
    order = _order(windows, len(clips) - 1, renderer, chance)
    return LongScene(tuple(clips), tuple(renderer.rendered), tuple(order))


def _clips(groups: dict[str, list[DevClip]], count: int, chance: np.random.Generator) -> list[DevClip]:
    """Clips of kinds that words can tell apart."""
    found: list[DevClip] = []
    for label in chance.permutation(sorted(groups)):
        clip = groups[str(label)][int(chance.integers(len(groups[str(label)])))]
        if all(distinguishable(clip, other) for other in found):
            found.append(clip)
        if len(found) == count:
            break
    return found


def _order(windows: int, main: int, renderer: _Renderer, chance: np.random.Generator) -> list[int]:
    """Spells of each main sound, some of two at once, some of none; the rare one in any one window."""
    spells = [number % main for number in range(main * max(1, min(3, windows // (2 * main))))]
    chance.shuffle(spells)
    if windows >= 12:
        spells += [-1] * max(1, len(spells) // 4)
        chance.shuffle(spells)
    weights = chance.uniform(0.7, 1.3, len(spells))
    lengths = np.maximum(1, np.floor(weights / weights.sum() * windows)).astype(int)
    while lengths.sum() > windows:
        lengths[int(lengths.argmax())] -= 1
    lengths[int(lengths.argmax())] += windows - lengths.sum()
    numbers = [number for number, length in zip(spells, lengths.tolist(), strict=True) for _ in range(length)]
    beside = _beside(numbers, main, chance)
    rare_at = int(chance.integers(windows))
    order = []
    for place, number in enumerate(numbers):
        present = [one for one in (number, beside.get(place, -1)) if one >= 0]
        if place == rare_at:
            order.append(renderer.number_of(("rare", place), [*present[:1], main]))
        else:
            order.append(renderer.number_of((*present, place % 2), present))
    return order


def _beside(numbers: list[int], main: int, chance: np.random.Generator) -> dict[int, int]:
    """A second sound in the last third of one spell, as when it begins before the first has ended."""
    if main < 2 or len(numbers) < 6:
        return {}
    at = int(chance.integers(len(numbers) // 3, len(numbers) - 1))
    other = int(chance.integers(main))
    length = max(1, len(numbers) // 12)
    return {place: other for place in range(at, min(len(numbers), at + length)) if numbers[place] not in (other, -1)}


def _places(clip: DevClip, lasting: bool, once: bool, chance: np.random.Generator) -> tuple[list[float], Wave]:
    """Where in a window a clip is put, and what of it."""
    if lasting:
        sound = loudest_part(clip.wave, WINDOW)
        length = len(sound) / RATE
        step = max(length - 0.05, 0.2)
        return [place * step for place in range(int(np.ceil(WINDOW / step))) if place * step < WINDOW - 0.2], sound
    sound = loudest_part(clip.wave, chance.uniform(*RARE_SECONDS))
    length = len(sound) / RATE
    times = 1 if once else int(chance.integers(1, 1 + max(1, int(8.0 / (length + 1.2)))))
    room = WINDOW - 0.5
    part = room / times
    return [0.25 + place * part + chance.uniform(0, max(0.0, part - length - 0.8)) for place in range(times)], sound
