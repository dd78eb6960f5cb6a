"""Parts of a window, by hand: pools, which parts count, and moments in the light of theirs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from samcli.models.encoders.nano import BLOCK, Blocks, in_their_part, parts_of, without_empty


def by_hand(x: Tensor) -> list[Tensor]:
    """Mean beside maximum of one row's whole (steps, width) and of each of its parts that count."""
    steps, found = len(x), [x]
    for size in (64, 32):
        if size < steps:
            found += [x[at : at + size] for at in range(0, steps, size // 2) if at + size // 2 < steps]
    return [torch.cat([part.mean(0), part.amax(0)]) for part in found]


@pytest.mark.parametrize("lengths", [[1, 15, 16, 17, 31, 32, 33], [63, 64, 65, 96, 97, 125], [125], [300, 40]])
def test_pools_are_those_by_hand(lengths: list[int]) -> None:
    x = torch.randn(len(lengths), max(lengths), 3, dtype=torch.float64)
    real = torch.tensor(lengths)
    pools = Blocks.of(x, real, BLOCK).pools(real, BLOCK)
    assert pools.shape[1] == 1 + len(parts_of(x.shape[1]))
    counts = without_empty(torch.zeros(*pools.shape[:2], 1), real, x.shape[1])[..., 0] == 0
    for row, length in enumerate(lengths):
        wanted = torch.stack(by_hand(x[row, :length]))
        assert torch.allclose(pools[row, counts[row]], wanted, atol=1e-12)
    assert pools.isfinite().all(), "an empty part must not spoil gradients"


def test_a_moment_is_as_likely_as_it_and_its_part() -> None:
    torch.manual_seed(0)
    tokens = 125
    steps, parts = torch.randn(1, tokens, 4), torch.randn(1, 1 + len(parts_of(tokens)), 4)
    parts = without_empty(parts, torch.tensor([tokens]), tokens)
    found = in_their_part(steps, parts).sigmoid()[0]
    for at in (0, 31, 32, 63, 64, 95, 96, 124):
        around = [number for number, begin in enumerate((0, 32, 64), 1) if begin <= at < begin + 64]
        light = parts[0, around].amax(0).sigmoid()
        assert torch.allclose(found[at], (steps[0, at].sigmoid() * light).sqrt(), atol=1e-5)


def test_a_short_window_is_its_own_part() -> None:
    steps, parts = torch.randn(1, 20, 4), torch.randn(1, 1 + len(parts_of(20)), 4)
    parts = without_empty(parts, torch.tensor([20]), 20)
    found = in_their_part(steps, parts).sigmoid()
    assert torch.allclose(found, (steps.sigmoid() * parts[:, :1].sigmoid()).sqrt(), atol=1e-5)
