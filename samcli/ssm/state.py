"""Recurrent state as a value: small named tuples that callers carry, select, repeat and join; rows of unlike lengths.

Every recurrent block is `y, state = block(x, state)`; nothing is hidden on a module, so a long recording is a fold
over its pieces, and beam search is a re-ordering of rows. The helpers work on any nesting of tuples whose leaves are
tensors with the batch on their first axis.

The blocks know one layout of a batch only: valid tokens first, padding after them. Rows padded on the left are rolled
into that layout and back, so that even a carried convolution tail sits directly before the first valid token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

StateLike = TypeVar("StateLike")


class BlockState(NamedTuple):
    """What one recurrent block remembers. Never below float32: rounding here would add up over a long recording."""

    ssm: Tensor  # (batch, heads, head_dim, N) for Mamba-2, (batch, channels, N) for Mamba
    # (batch, width - 1, channels)  latest inputs of the causal convolution, oldest first; Mamba-3's one latest input
    tail: Tensor


State = tuple[BlockState, ...]  # one per layer


def empty_state(weight: Tensor, ssm: Sequence[int], tail: Sequence[int]) -> BlockState:
    """Zeros of these shapes where the weight is, in the precision of scans."""
    return BlockState(*(weight.new_zeros(shape, dtype=scan_dtype(weight.dtype)) for shape in (ssm, tail)))


def map_state(function: Callable[..., Tensor], *states: StateLike) -> StateLike:
    """Apply `function` leaf by leaf; several states of one shape are walked together."""
    first: Any = states[0]
    if isinstance(first, Tensor):
        return function(*states)  # type: ignore[return-value]
    children: list[Any] = [map_state(function, *leaves) for leaves in zip(*states, strict=True)]
    if hasattr(first, "_fields"):
        return type(first)(*children)  # type: ignore[no-any-return]
    return type(first)(children)  # type: ignore[no-any-return]


def select(state: StateLike, rows: Sequence[int] | Tensor) -> StateLike:
    """The given rows, in the given order; a row may be taken more than once."""

    def take(leaf: Tensor) -> Tensor:
        return leaf.index_select(0, torch.as_tensor(rows, dtype=torch.long, device=leaf.device))

    return map_state(take, state)


def reorder(state: StateLike, rows: Sequence[int]) -> StateLike:
    """The same in the state's own memory, for a caller that alone holds it: rows that stay in place are not copied."""
    moves = [(place, row) for place, row in enumerate(rows) if place != row]
    if len(rows) > batch_size(state):
        return select(state, rows)

    def move(leaf: Tensor) -> Tensor:
        if moves:
            places, sources = torch.tensor(moves, device=leaf.device).unbind(1)
            leaf.index_copy_(0, places, leaf.index_select(0, sources))
        return leaf[: len(rows)]

    return map_state(move, state)


def repeat(state: StateLike, times: int) -> StateLike:
    """Each row `times` times, copies side by side: row r becomes rows r * times ... r * times + times - 1."""
    return map_state(lambda leaf: leaf.repeat_interleave(times, dim=0), state)


def join(states: Sequence[StateLike]) -> StateLike:
    """One batch from several states."""
    return map_state(lambda *leaves: torch.cat(leaves, dim=0), *states)


def batch_size(state: Any) -> int:
    while not isinstance(state, Tensor):
        state = state[0]
    return int(state.shape[0])


def size_in_bytes(state: Any) -> int:
    """Memory of a state; it does not depend on how much was heard."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    return sum(size_in_bytes(child) for child in state)


def scan_dtype(dtype: torch.dtype) -> torch.dtype:
    """The precision of scans, states and the residual stream: float32, or float64 in a float64 model."""
    return torch.promote_types(dtype, torch.float32)


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
