"""What the rest of the house sees of any model: it encodes windows, listens, and speaks.

A model that lacks a task leaves it out of `tasks`; asking for it anyway raises ModelError. Every method treats the
rows of a batch as if each were alone, and no method changes the state it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from samcli.models.facts import SpeakOptions as SpeakOptions


class Encoding(NamedTuple):
    """One window each, as the encoder heard it."""

    features: Tensor  # (batch, tokens, width): what the connector reads
    lengths: Tensor  # (batch,): valid tokens of each row
    clip_logits: Tensor | None  # (batch, classes): tags of the whole window; None without a head
    step_logits: Tensor | None  # (batch, tokens, classes): tags per time step; None when the head has no time axis
    pooled: Tensor | None = None  # (batch, width of its own): what a head over the whole window reads beside features


class SoundModel(Protocol):
    name: str
    revision: str
    tasks: frozenset[str]  # of "tag", "caption", "ask"
    sample_rate: int
    window_seconds: float
    labels: tuple[str, ...]
    step_seconds: float | None  # of one row of step_logits
    thresholds: tuple[float, ...]  # of each label, from which score on a recording is said to hold it
    step_thresholds: tuple[float, ...]  # the same for a moment of it
    calibrated: bool  # whether these were measured; otherwise each is a half

    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        """waves (batch, samples), zero behind `lengths` samples."""
        ...

    def listen(self, encoding: Encoding, state: Any | None) -> Any:
        """Feed each row's audio tokens into its carried state (None: fresh)."""
        ...

    def speak(self, state: Any, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        """One text per row; the prompt "" asks for a caption, any other is a question."""
        ...

    def bears(self, state: Any) -> Sequence[bool]:
        """Whether each row's state is no more than the model can speak of; beyond, its words make no sense."""
        ...

    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """These rows of a batched state."""
        ...

    def join(self, states: Sequence[Any]) -> Any:
        """One batched state from several."""
        ...
