"""From which score on each label of a model is called heard. No tensors here: who lists models needs no torch."""

from __future__ import annotations

from typing import NamedTuple


class Thresholds(NamedTuple):
    """One for each label."""

    clips: tuple[float, ...]  # of a whole recording
    steps: tuple[float, ...]  # of a moment, in a timeline
    calibrated: bool  # False: nobody measured any, and each is a half

    @classmethod
    def unknown(cls, labels: int) -> Thresholds:
        return cls((0.5,) * labels, (0.5,) * labels, False)
