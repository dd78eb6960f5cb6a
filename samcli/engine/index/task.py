"""What an index keeps of a recording: a row for every window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samcli.engine.task import Heard, Task, Window
from samcli.models.interface import SoundModel
from samcli.text.judge import nonsense


class Row(NamedTuple):
    """A window, as it is stored."""

    start: float  # seconds
    end: float
    caption: str
    tags: bytes  # (labels,): roots of probabilities in steps of 1/255
    embedding: bytes | None  # (width,) of length 1, in half precision; None for silence


@dataclass(eq=False)
class File:
    """One file and what was heard in it."""

    path: bytes
    size: int
    changed: int  # nanoseconds
    problem: str | None = None
    rows: list[Row] = field(default_factory=list)

    @property
    def duration(self) -> float:
        return self.rows[-1].end if self.rows else 0.0


@dataclass(frozen=True)
class IndexTask(Task):
    """Tags, a caption and an embedding of every window, as far as the model can."""

    labels: int = 0
    prompt: str | None = None
    wants_clip: bool = False
    wants_features: bool = True
    each_window: bool = True
    refuses_nonsense: bool = False
    name: str = "index"

    @classmethod
    def of(cls, model: SoundModel) -> IndexTask:
        prompt = "" if "caption" in model.tasks else None
        return cls(labels=len(model.labels), prompt=prompt, wants_clip=bool(model.labels))

    def gatherer(self) -> IndexGatherer:
        return IndexGatherer(self.labels)


class IndexGatherer:
    """One window."""

    def __init__(self, labels: int) -> None:
        self.labels = labels
        self.window: Window | None = None

    def add(self, window: Window) -> None:
        self.window = window._replace(levels=None)

    def records(self, heard: Heard, text: str | None) -> list[Row]:
        window = self.window
        assert window is not None
        tags = np.zeros(self.labels, np.float32) if window.clip is None else window.clip
        roots = np.round(np.sqrt(tags) * 255).astype(np.uint8).tobytes()
        caption = "" if text is None or nonsense(text) else text
        return [Row(window.start, window.end, caption, roots, _packed(window.features))]


def _packed(embedding: NDArray[np.float32] | None) -> bytes | None:
    if embedding is None:
        return None
    return np.asarray(embedding / max(1e-9, float(np.linalg.norm(embedding))), np.float16).tobytes()
