"""What the training loop is given: stages, each with its examples, loss, pace and the parts that learn.

Which example comes when is a function of the seed and the place: a resumed training goes on where it was.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import FrameType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from samcli.ssm.fast.linear import multiplies_bfloat16
from samcli.training.optimiser import Pace
from samcli.training.team import Team

PREFETCH = 4  # steps that each worker process prepares ahead


class Outcome(NamedTuple):
    """The loss of a few examples, summed over whatever counts."""

    total: Tensor  # to be minimised, a sum
    weight: Tensor  # how much was summed: examples, or tokens of answers
    parts: Mapping[str, Tensor | float]  # for the log, sums likewise
    examples: int


class Task(Protocol):
    """Examples without end, by number, and the loss on them."""

    def batch(self, places: Sequence[int]) -> Any:
        """The examples with these numbers, on the CPU; a function of the numbers alone."""
        ...

    def outcome(self, batch: Any) -> Outcome:
        """A forward pass over what `batch` gave."""
        ...


@dataclass(frozen=True)
class Stage:
    """One part of a training."""

    name: str
    steps: int
    task: Callable[[], Task]  # called when the stage begins
    pace: Pace
    learns: Callable[[str], bool] | None = None  # which parameters, by their names; None: as they are set already
    prepare: Callable[[nn.Module], object] = lambda network: network.train()  # sets modes when the stage begins
    own_optimiser: bool = True  # False: stages share one, moments and all
    helper: Callable[[], Task] | None = None  # what a second core learns from


@dataclass(frozen=True)
class LoopOptions:
    batch: int = 1  # examples of a step, over all processes
    at_once: int = 0  # of them in the memory of one process; 0: its whole share
    workers: int = 0  # processes that prepare examples; 0: done in between
    bfloat16: bool = False  # the network computes in it where that is safe and quick; weights and sums stay float32
    average: float = 0.0  # of a running mean of the weights; 0: none
    report_every: int = 20  # steps
    judge_every: int = 0  # steps; 0: at the end alone
    save_every_seconds: float = 300.0
    save_all: bool = False  # weights that no stage changes are saved too
    seed: int = 0  # of dropout and the like; -1: the number of the step alone


def computing(device: torch.device, bfloat16: bool) -> torch.autocast:
    """In bfloat16, unless that is only emulated here."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16 and multiplies_bfloat16(device))


class Steps(IterableDataset[Any]):
    """The examples of this process, step by step; a step is as many batches as fit in memory one at a time."""

    def __init__(self, task: Task, team: Team, options: LoopOptions, start: int) -> None:
        self.task, self.team, self.options, self.start = task, team, options, start

    def __iter__(self) -> Iterator[list[Any]]:
        info, count = get_worker_info(), self.options.batch
        worker, workers = (info.id, info.num_workers) if info else (0, 1)  # each makes its share of the steps
        for step in itertools.count(self.start + worker, workers):
            mine = self.team.share_of(range(step * count, (step + 1) * count))
            size = self.options.at_once or max(1, len(mine))
            yield [self.task.batch(mine[at : at + size]) for at in range(0, len(mine), size)]

    def loaded(self) -> Iterator[list[Any]]:
        """The same, prepared by worker processes."""
        workers = self.options.workers
        return iter(
            DataLoader(
                self,
                batch_size=None,
                num_workers=workers,
                prefetch_factor=PREFETCH if workers else None,
                worker_init_fn=outlast_one_stop if workers else None,
            )
        )


def outlast_one_stop(worker: int) -> None:
    """Whoever stops a whole group of processes means the training, which first finishes a step and saves.

    A second SIGTERM is obeyed: the interpreter sends one, and another, to workers that are left when it ends.
    """

    def obey_the_next(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, obey_the_next)


def to_device(batch: Any, device: torch.device) -> Any:
    """Every tensor of a named tuple or list on that device."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(item, device) for item in batch))
    if isinstance(batch, list):
        return [to_device(item, device) for item in batch]
    return batch


def generator(seed: int, place: int) -> np.random.Generator:
    """The chances of the example at one place."""
    return np.random.default_rng((seed, 1, place))


class Shuffled:
    """`order[place]`: every example once an epoch, each epoch in an order of its own."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> int:
        epoch, at = divmod(place, self.count)
        return int(_permutation(self.count, self.seed, epoch)[at])


class Weighted:
    """`order[place]`: an example drawn by its weight."""

    def __init__(self, weights: NDArray[np.float64], seed: int) -> None:
        self.edges, self.seed = np.cumsum(weights / weights.sum()), seed

    def __len__(self) -> int:
        return len(self.edges)

    def __getitem__(self, place: int) -> int:
        drawn = np.random.default_rng((self.seed, 2, place)).random()
        return min(int(np.searchsorted(self.edges, drawn, side="right")), len(self.edges) - 1)


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, 3, epoch)).permutation(count)
