"""A measurement on the development clips of a corpus: how each suite begins, and the report in which it ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samcli.engine.hearing import Progress
from samcli.evaluation.figures import Figure
from samcli.evaluation.nano.dev_sounds import DevSounds, corpus_of
from samcli.models.interface import SoundModel


class Measurement:
    """The clips, decoded, and the clock that began with them."""

    def __init__(self, model: SoundModel, corpus_folder: str | Path, every: int, progress: Progress) -> None:
        self._model, self._began = model, time.monotonic()
        self.sounds = DevSounds.read(
            corpus_of(Path(corpus_folder)), every, lambda done, total: progress("reading the clips", done, total)
        )

    def report(self, size: dict[str, Any], figures: Sequence[Figure], details: dict[str, Any]) -> dict[str, Any]:
        """What all suites report: who was measured, on how much, in what time, and what was found."""
        return {
            "model": self._model.name,
            "revision": self._model.revision,
            **size,
            "seconds_taken": round(time.monotonic() - self._began, 1),
            "figures": [figure.to_dict() for figure in figures],
            "details": details,
        }
