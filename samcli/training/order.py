"""Which example comes when: a function of the seed and the place, so that a resumed training goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import get_worker_info


def numbers(start: int) -> Iterator[int]:
    """Of the steps from this one on, without end; of several loading processes, each makes its share."""
    info = get_worker_info()
    worker, workers = (info.id, info.num_workers) if info else (0, 1)
    return islice(count(start), worker, None, workers)


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
