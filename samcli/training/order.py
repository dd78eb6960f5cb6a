"""Which example comes when: a function of the seed and the place, so that a resumed training goes on where it was."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


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
