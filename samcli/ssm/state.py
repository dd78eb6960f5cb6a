"""Recurrent state as a value: small named tuples that callers carry, select, repeat and join.

Every recurrent block is `y, state = block(x, state)`; nothing is hidden on a module, so a long recording is a fold
over its pieces, and beam search is a re-ordering of rows. The helpers below work on any nesting of tuples whose
leaves are tensors with the batch on their first axis.
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
