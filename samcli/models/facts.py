"""What is known of a model without torch: what it can do, where its weights are and how exact, how it is to speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Thresholds(NamedTuple):
    """From which score on each label of a model is called heard."""

    clips: tuple[float, ...]  # of a whole recording
    steps: tuple[float, ...]  # of a moment, in a timeline
    calibrated: bool  # False: nobody measured any, and each is a half

    @classmethod
    def unknown(cls, labels: int) -> Thresholds:
        return cls((0.5,) * labels, (0.5,) * labels, False)


@dataclass(frozen=True)
class ModelFacts:
    """A model that is elsewhere, as far as settings go: it has the attributes of one."""

    name: str
    revision: str
    tasks: frozenset[str]
    sample_rate: int
    window_seconds: float
    labels: tuple[str, ...]
    step_seconds: float | None
    thresholds: tuple[float, ...]
    step_thresholds: tuple[float, ...]
    calibrated: bool
    dtype: str

    @classmethod
    def of(cls, model: Any) -> ModelFacts:
        """Of a SoundModel; its module needs torch."""
        return cls(
            model.name,
            model.revision,
            model.tasks,
            model.sample_rate,
            model.window_seconds,
            model.labels,
            model.step_seconds,
            model.thresholds,
            model.step_thresholds,
            model.calibrated,
            dtype_of(model),
        )


def first_weight(model: Any) -> Any | None:
    """Any one parameter of a model, or of the network it wraps; None when it has none."""
    for owner in (model, getattr(model, "network", None)):
        parameters = getattr(owner, "parameters", None)
        weight = next(iter(parameters()), None) if callable(parameters) else None
        if weight is not None:
            return weight
    return None


def dtype_of(model: Any) -> str:
    """The precision of the weights, as text."""
    weight = first_weight(model)
    return str(getattr(model, "dtype", None) if weight is None else weight.dtype)


@dataclass(frozen=True)
class SpeakOptions:
    """How a model speaks."""

    max_new_tokens: int = 48
    beams: int | None = None  # 1: greedy; None: as many as the model is used to
    temperature: float = 0.0  # 0: no sampling
    top_p: float = 1.0
    seed: int = 0  # of the sampling; greedy and beam search do not use it
