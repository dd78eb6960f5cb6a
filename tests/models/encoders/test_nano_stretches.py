"""What is heard in the whole: the plainest stretch of a window, told by hand and however the row is padded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from samcli.models.encoders.nano import plainest


def by_hand(step_logits: Tensor, attention: Tensor, stretch: int) -> Tensor:
    """One row (steps, classes), one stretch after the other."""
    third, steps = -(-stretch // 3), len(step_logits)
    blocks = -(-steps // third)
    found = []
    for start in range(max(1, blocks - 2)):
        part = slice(start * third, min(steps, start * third + 3 * third))
        found.append((attention[part].softmax(0) * step_logits[part]).sum(0))
    return torch.stack(found).amax(0)


@pytest.mark.parametrize("stretch", [1, 3, 23, 24, 400])
def test_the_plainest_stretch_counts(stretch: int) -> None:
    chance = torch.Generator().manual_seed(stretch)
    step_logits, attention = torch.randn(2, 5, 126, 7, generator=chance) * 6
    lengths = torch.tensor([126, 77, 24, 9, 1])
    behind = torch.arange(126) >= lengths[:, None]
    found = plainest(step_logits, attention.masked_fill(behind[..., None], float("-inf")), lengths, stretch)
    for row, length in enumerate(lengths.tolist()):
        alone = by_hand(step_logits[row, :length], attention[row, :length], stretch)
        assert torch.allclose(found[row], alone, atol=1e-4)


def test_a_short_sound_is_not_weighed_against_the_rest() -> None:
    step_logits = torch.full((1, 126, 1), -5.0)
    step_logits[:, 40:60] = 3.0
    even, lengths = torch.zeros(1, 126, 1), torch.tensor([126])
    assert plainest(step_logits, even, lengths, 0) < -3
    assert plainest(step_logits, even, lengths, 24) > 1


def test_gradients_are_finite_where_nothing_counts() -> None:
    step_logits = torch.randn(1, 30, 2, requires_grad=True)
    attention = torch.randn(1, 30, 2, requires_grad=True)
    far = torch.tensor([0.0, -500.0] * 15)[None, :, None]
    behind = torch.arange(30)[None, :, None] >= 20
    weights = (attention + far).masked_fill(behind, float("-inf"))
    plainest(step_logits, weights, torch.tensor([20]), 9).sum().backward()
    for part in (step_logits, attention):
        assert part.grad is not None and part.grad.isfinite().all() and not part.grad[:, 20:].any()
