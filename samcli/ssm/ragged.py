"""Batches of rows with different lengths.

The blocks know one layout only: valid tokens first, padding after them. Rows padded on the left are rolled into
that layout and back, so that even a carried convolution tail sits directly before the first valid token.
"""

from __future__ import annotations

import torch
from torch import Tensor


def valid_mask(lengths: Tensor, size: int) -> Tensor:
    """(batch, size) True where a token is real; `lengths` counts the valid tokens of each row."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def roll_rows(x: Tensor, shifts: Tensor) -> Tensor:
    """Each row of x (batch, length, ...) moved left by its own shift, around the end."""
    batch, length = x.shape[:2]
    index = (torch.arange(length, device=x.device) + shifts[:, None]) % length  # (batch, length)
    return x[torch.arange(batch, device=x.device)[:, None], index]


def left_to_right(x: Tensor, lengths: Tensor) -> Tensor:
    """Left-padded rows as right-padded rows; `right_to_left` undoes it."""
    return roll_rows(x, x.shape[1] - lengths.to(x.device))


def right_to_left(x: Tensor, lengths: Tensor) -> Tensor:
    return roll_rows(x, lengths.to(x.device))


def last_valid(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(batch, ...) the last valid position of every row of x (batch, length, ...)."""
    if lengths is None:
        return x[:, -1]
    rows = torch.arange(x.shape[0], device=x.device)
    return x[rows, (lengths.to(x.device) - 1).clamp(min=0)]
