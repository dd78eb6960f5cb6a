"""A lesson and how it is taught: what is learned, at what pace, by which part of the network, in which batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from samcli.training.order import numbers
from samcli.training.team import Team


class Outcome(NamedTuple):
    """What a few examples cost, summed over whatever counts."""

    total: Tensor  # to be minimised, a sum
    weight: Tensor  # how much was summed: examples, or spoken tokens
    parts: dict[str, Tensor]  # for the log, sums likewise


class Lesson(Protocol):
    """Examples without end, by number, and what is learned from them."""

    def batch(self, places: Sequence[int]) -> Any:
        """The examples at these places of the course, on the CPU; a function of the places alone."""
        ...

    def outcome(self, batch: Any) -> Outcome:
        """A forward pass over what `batch` gave."""
        ...


@dataclass(frozen=True)
class Pace:
    """How fast a stage learns."""

    rate: float = 1e-4  # highest learning rate
    warm_up: int = 100  # steps
    shape: Literal["linear", "cosine", "constant"] = "linear"  # the way down to zero after the warm-up
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0  # on matrices
    clip_norm: float = 1.0

    def share(self, step: int, steps: int) -> float:
        """Of the highest rate, at this step."""
        rise = min(1.0, (step + 1) / max(1, self.warm_up))
        part = min(1.0, max(0.0, (step - self.warm_up) / max(1, steps - self.warm_up)))
        fall = {"linear": 1 - part, "cosine": 0.5 * (1 + math.cos(math.pi * part)), "constant": 1.0}
        return rise * fall[self.shape]


@dataclass(frozen=True)
class Stage:
    """One part of a course."""

    name: str
    lesson: Lesson
    steps: int
    pace: Pace
    learns: Callable[[str], bool] = lambda name: True  # which parameters, by their names


@dataclass(frozen=True)
class CourseOptions:
    batch: int = 64  # examples of a step, over all processes
    at_once: int = 0  # of them in the memory of one process; 0: its whole share
    workers: int = 0  # processes that prepare examples; 0: done in between
    bfloat16: bool = False  # the network computes in it; weights and sums stay float32
    average: float = 0.0  # of a running mean of the weights; 0: none
    report_every: int = 20  # steps
    save_every_seconds: float = 300.0
    seed: int = 0


class Steps(IterableDataset[Any]):
    """What this process hears in the steps from one to another, in order; a step is as many batches as memory asks."""

    def __init__(self, lesson: Lesson, team: Team, options: CourseOptions, start: int, stop: int) -> None:
        self.lesson, self.team, self.options, self.start, self.stop = lesson, team, options, start, stop

    def __iter__(self) -> Iterator[list[Any]]:
        count = self.options.batch
        for step in numbers(self.start, self.stop):
            mine = self.team.mine(range(step * count, (step + 1) * count))
            size = self.options.at_once or max(1, len(mine))
            yield [self.lesson.batch(mine[at : at + size]) for at in range(0, len(mine), size)]


def to_device(batch: Any, device: torch.device) -> Any:
    """Every tensor of a named tuple or list on that device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(item, device) for item in batch))
    if isinstance(batch, list):
        return [to_device(item, device) for item in batch]
    return batch
