"""What the engine asks of a task: gather a segment's windows in order of time, then say its records.

The engine knows how to feed a model; what to make of the scores or the words is the task's affair (`samcli.tasks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from samcli.audio.windows import Levels
from samcli.records import Record

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """The facts about a segment that is done."""

    path: str
    start: float  # seconds
    end: float
    duration: float  # of the whole recording
    covered: float  # of the whole recording
    silent: bool  # no window of it passed the level gate
    model: str
    revision: str
    warning: str | None

    def record(self, task: str) -> Record:
        """A record with these facts and nothing said yet."""
        return Record(
            task=task,
            path=self.path,
            start=_tidy(self.start),
            end=_tidy(self.end),
            duration=_tidy(self.duration),
            covered=_tidy(self.covered),
            silent=self.silent,
            model=self.model,
            revision=self.revision,
            warning=self.warning,
        )


def _tidy(seconds: float) -> float:
    return round(seconds, 6)  # a sample at 384 kHz lasts 2.6 microseconds


class Gatherer(Protocol):
    """Collects one segment."""

    def add(
        self, start: float, end: float, clip: Scores | None, steps: Scores | None, levels: Levels | None = None
    ) -> None:
        """The next window: probabilities (classes,) and (steps, classes), None where silent or not wanted, and levels.

        Levels are those of every tenth of a second, in dB of full scale.
        """
        ...

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        """What to write down; `text` is what the model said, None when it was not asked to speak."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A gatherer that need not wait for the end of its segment."""

    def settled(self, heard: Heard) -> list[Record]:
        """What nothing to come can change, each once; `records` then says the rest."""
        ...


class Task(Protocol):
    """A request to a model, with its settings resolved."""

    @property
    def name(self) -> str:
        """caption, tag or ask."""
        ...

    @property
    def prompt(self) -> str | None:
        """What the language model is asked ("" for a caption); None when it is not needed."""
        ...

    @property
    def wants_steps(self) -> bool:
        """Whether scores per time step are used."""
        ...

    def gatherer(self) -> Gatherer: ...
