"""Rows of batched values, cut out only when they are needed.

After a batch the model's answer stays whole; whoever goes on with some of its rows holds `Row`s and gathers them when
the next batch forms. For a folder of short files that is the same batch again, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from samcli.models.interface import Encoding, SoundModel


class Row(NamedTuple):
    """One row of a batched value."""

    batch: Any
    place: int  # of the row in it
    size: int  # rows in it


def rows_of(batch: Any, count: int) -> list[Row]:
    return [Row(batch, index, count) for index in range(count)]


def gather_states(rows: Sequence[Row], model: SoundModel) -> Any:
    """One batched state of rows that lie in several, in the order of `rows`."""
    groups = _grouped(rows)
    parts = [_part(group, model) for group in groups]
    joined = parts[0] if len(parts) == 1 else model.join(parts)
    order = [place for group in groups for place, _ in group]
    if order == sorted(order):
        return joined
    positions = {place: position for position, place in enumerate(order)}
    return model.select(joined, [positions[place] for place in range(len(rows))])


def gather_encodings(rows: Sequence[Row]) -> Encoding:
    """One batch of encodings, in the order of `rows`."""
    first: Encoding = rows[0].batch
    if all(row.batch is first and row.place == place for place, row in enumerate(rows)) and len(rows) == rows[0].size:
        return first
    lengths = torch.stack([row.batch.lengths[row.place] for row in rows])
    longest = int(lengths.max())

    def along_time(name: str) -> Tensor:
        """(rows, tokens, ...), zero behind the end of each row."""
        sample: Tensor = getattr(first, name)
        gathered = sample.new_zeros(len(rows), longest, *sample.shape[2:])
        for place, row in enumerate(rows):
            source: Tensor = getattr(row.batch, name)[row.place, :longest]
            gathered[place, : len(source)] = source
        return gathered

    clips = None if first.clip_logits is None else torch.stack([row.batch.clip_logits[row.place] for row in rows])
    steps = None if first.step_logits is None else along_time("step_logits")
    return Encoding(along_time("features"), lengths, clips, steps)


def _grouped(rows: Sequence[Row]) -> list[list[tuple[int, Row]]]:
    """Rows of one batch together, with their places."""
    groups: dict[int, list[tuple[int, Row]]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(id(row.batch), []).append((place, row))
    return list(groups.values())


def _part(group: list[tuple[int, Row]], model: SoundModel) -> Any:
    indices = [row.place for _, row in group]
    first = group[0][1]
    return first.batch if indices == list(range(first.size)) else model.select(first.batch, indices)
