"""Files on their way into an index: read in turn, heard together, handed on when they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samcli.engine.hearing import Wave, hear
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import open_input
from samcli.engine.windows import Cut, cut
from samcli.errors import InputError
from samcli.models.interface import SoundModel

LOT_WINDOWS = 64  # heard and entered together


@dataclass(eq=False)
class File:
    """One file and what was heard in it."""

    path: bytes
    size: int
    changed: int  # nanoseconds
    duration: float = 0.0
    problem: str | None = None
    rows: list[tuple[float, float, str, bytes, bytes | None]] = field(default_factory=list)


class Lot:
    """Windows of several files that are heard together; a file leaves it when all its windows are."""

    def __init__(self, model: SoundModel) -> None:
        self.model = model
        self._waiting: list[tuple[File, float, Wave]] = []
        self._read: list[File] = []

    def take(self, item: Input, file: File) -> None:
        """Read a file, hearing as soon as enough windows have come together."""
        try:
            for start, wave in read_windows(item, self.model):
                self._waiting.append((file, start, wave))
                file.duration = start + len(wave) / self.model.sample_rate
                if len(self._waiting) >= LOT_WINDOWS:
                    self.hear()
        except InputError as error:
            file.problem = str(error)
            file.rows.clear()
            self._waiting = [entry for entry in self._waiting if entry[0] is not file]
        self._read.append(file)

    def hear(self) -> None:
        prompts = [("",) if "caption" in self.model.tasks else ()] * len(self._waiting)
        for (file, start, wave), one in zip(
            self._waiting, hear(self.model, [wave for *_, wave in self._waiting], prompts), strict=True
        ):
            tags = np.zeros(len(self.model.labels), np.float32) if one.tags is None else one.tags
            roots = np.round(np.sqrt(tags) * 255).astype(np.uint8).tobytes()
            end = start + len(wave) / self.model.sample_rate
            file.rows.append((start, end, "".join(one.texts), roots, _packed(one.embedding)))
        self._waiting.clear()

    def finished(self) -> list[File]:
        """Files that were read and heard to their end since the last call."""
        waiting = {id(file) for file, *_ in self._waiting}
        done = [file for file in self._read if id(file) not in waiting]
        self._read = [file for file in self._read if id(file) in waiting]
        return done


def read_windows(item: Input, model: SoundModel) -> Iterator[tuple[float, Wave]]:
    """Windows of a recording with their starts in seconds."""
    how = Cut(model.sample_rate, model.window_seconds, step_seconds=model.step_seconds)
    with open_input(item, model.sample_rate) as reader:
        for piece in cut(reader, how):
            yield piece.start / model.sample_rate, piece.wave


def _packed(embedding: NDArray[np.float32] | None) -> bytes | None:
    if embedding is None:
        return None
    return np.asarray(embedding / max(1e-9, float(np.linalg.norm(embedding))), np.float16).tobytes()
