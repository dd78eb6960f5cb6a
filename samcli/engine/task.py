"""What the engine asks of a task: gather a segment's windows in order of time, then say its records.

The engine knows how to feed a model; what to make of the scores or the words is the task's affair (`samcli.tasks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from samcli.audio.waves import Levels
from samcli.records import Record

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input

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
    texts: tuple[str | None, ...] = ()  # what was said to each prompt
    losses: Scores | None = None  # (given texts,): their mean cross-entropy as captions

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


class Window(NamedTuple):
    """What came of one window; nothing but its times and levels when it was silent."""

    start: float  # seconds
    end: float
    clip: Scores | None = None  # (classes,): probabilities
    steps: Scores | None = None  # (steps, classes)
    features: Scores | None = None  # (width,): the encoder's, their mean over the window's tokens
    tokens: int = 0
    levels: Levels | None = None  # (tenths of a second,): in dB of full scale
    encoding: Any = None  # still to be listened to
    judged: Scores | None = None  # (width,): the vector of a model that judges captions


class Gatherer(Protocol):
    """Collects one segment."""

    def add(self, window: Window) -> None:
        """The next window, with whatever the task wants of it."""
        ...

    def records(self, heard: Heard, text: str | None) -> Sequence[Any]:
        """What to write down; `text` is what the model said, None when it was not asked to speak."""
        ...


@runtime_checkable
class EarlyGatherer(Protocol):
    """A gatherer that need not wait for the end of its segment."""

    def settled(self, heard: Heard) -> list[Record]:
        """What nothing to come can change, each once; `records` then says the rest."""
        ...


class Task:
    """A request to a model, with its settings resolved. What is wanted here is computed, and nothing else."""

    name: str  # caption, tag or ask
    prompt: str | None = None  # what the language model is asked ("" for a caption); None when it is not
    given: tuple[str, ...] = ()  # texts whose likelihood after the segment is wanted
    wants_clip: bool = False  # scores of whole windows
    wants_steps: bool = False  # scores per time step
    wants_features: bool = False
    each_window: bool = False  # every window is a segment of its own
    refuses_nonsense: bool = True  # what makes no sense is said anew, and after that an error

    def prompts(self, item: Input) -> Sequence[str]:
        """All that the language model is asked about an input."""
        return () if self.prompt is None else (self.prompt,)

    @property
    def listens(self) -> bool:
        """Whether the language model is needed."""
        return self.prompt is not None or bool(self.given)

    def gatherer(self) -> Gatherer:
        raise NotImplementedError

    def gatherer_of(self, item: Input) -> Gatherer:
        """What collects a segment of an input; requests that share a run have one of its own kind each."""
        return self.gatherer()
