"""Sounds in memory through a model: tags, steps, an embedding, captions, answers, likelihoods of given texts.

A command asks for one of these; a suite wants several of every sound, and shares the encoder's work. It is a run like
any other, so that what is found here is what a user gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samcli.engine.inputs.find import Input
from samcli.engine.options import RunOptions
from samcli.engine.run import gathered
from samcli.engine.task import Heard as Facts
from samcli.engine.task import Scores, Task, Window
from samcli.models.interface import SoundModel

Wave = NDArray[np.float32]
Progress = Callable[[str, int, int], None]  # what is being done, done so far, in all


@dataclass
class Heard:
    """What a model made of one sound."""

    silent: bool = True  # no window passed the level gate; then nothing else is filled in
    tags: Scores | None = None  # (classes,): the highest of the windows' probabilities
    steps: list[tuple[float, float, Scores | None]] = field(default_factory=list)  # start, end, (steps, classes)
    texts: list[str] = field(default_factory=list)  # one for each prompt; "" for silence
    embedding: Scores | None = None  # (width,): the mean of the encoder's features
    losses: Scores | None = None  # (given texts,): their mean cross-entropy as captions


@dataclass(frozen=True)
class SoundTask(Task):
    """All that is wanted of sounds whose paths are their numbers."""

    asked: Sequence[Sequence[str]] = ()  # the prompts of each sound
    given: tuple[str, ...] = ()
    wants_clip: bool = True
    wants_steps: bool = False
    wants_features: bool = True
    refuses_nonsense: bool = False
    name: str = "sound"

    @property
    def listens(self) -> bool:
        return bool(self.given) or any(self.asked)

    def prompts(self, item: Input) -> Sequence[str]:
        return self.asked[int(item.path)] if self.asked else ()

    def gatherer(self) -> SoundGatherer:
        return SoundGatherer(self.wants_steps)


class SoundGatherer:
    """Keeps everything of one sound."""

    def __init__(self, steps: bool) -> None:
        self.heard = Heard()
        self._steps = steps
        self._tokens = 0
        self._total: Scores | None = None  # (width,): the sum of the features so far

    def add(self, window: Window) -> None:
        if self._steps:
            self.heard.steps.append((window.start, window.end, window.steps))
        if window.clip is not None:
            best = self.heard.tags
            self.heard.tags = window.clip if best is None else np.maximum(best, window.clip)
        if window.features is not None:
            here = window.features * np.float32(window.tokens)
            self._total = here if self._total is None else self._total + here
            self._tokens += window.tokens
            self.heard.embedding = np.asarray(self._total / max(1, self._tokens), np.float32)

    def records(self, heard: Facts, text: str | None) -> list[Heard]:
        self.heard.silent, self.heard.losses = heard.silent, heard.losses
        self.heard.texts = [said or "" for said in heard.texts]
        return [self.heard]


def hear(
    model: SoundModel,
    waves: Sequence[Wave],
    prompts: Sequence[Sequence[str]] | None = None,
    *,
    rate: int | None = None,
    steps: bool = False,
    given: Sequence[str] = (),
    options: RunOptions | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Heard]:
    """Each sound's tags, with `steps` also per time step, and an answer to each of its prompts ("" is a caption).

    The waves are at `rate`, by default the model's own. The texts `given` are scored against every sound. `progress`
    is told how many sounds are done.
    """
    task = SoundTask(
        asked=prompts or (), given=tuple(given), wants_clip=bool(model.labels),
        wants_steps=steps and model.step_seconds is not None,
    )  # fmt: skip
    results = [Heard(texts=[""] * len(prompts[place]) if prompts else []) for place in range(len(waves))]
    # The longest first: if memory is short, it shows at once.
    order = sorted((place for place, wave in enumerate(waves) if len(wave)), key=lambda place: -len(waves[place]))
    inputs = [
        Input(str(place), f"sound {place}", None, "", source=(waves[place], rate or model.sample_rate))
        for place in order
    ]
    for done in gathered(task, inputs, model, options):
        if done.error is not None:
            raise done.error
        [results[int(done.job.item.path)]] = done.records
        if progress is not None:
            progress(done.job.index + 1 + len(waves) - len(inputs))
    return results
