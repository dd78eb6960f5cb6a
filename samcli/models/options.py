"""How a model is to speak; without torch, since command lines are read before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SpeakOptions:
    """How a model speaks."""

    max_new_tokens: int = 48
    beams: int | None = None  # 1: greedy; None: as many as the model is used to
    temperature: float = 0.0  # 0: no sampling
    top_p: float = 1.0
    seed: int = 0  # of the sampling; greedy and beam search do not use it
