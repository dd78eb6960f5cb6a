"""Pools over a window and over its parts, and what a moment is worth in the light of its part.

A sound among others is plainer in the part of a window where it is heard than in the whole. Parts are made of blocks
of 16 tokens (1.28 s); they begin at fixed places, so that neither padding nor neighbours change them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 16  # tokens
SIZES = (4, 2)  # blocks of the parts; they begin half their length apart
NOTHING = float("-inf")


class Blocks(NamedTuple):
    """Sum and maximum of each block's valid steps: (batch, blocks, width) each."""

    sums: Tensor
    peaks: Tensor

    @classmethod
    def of(cls, x: Tensor, lengths: Tensor, size: int) -> Blocks:
        """Of (batch, steps, width) and its valid steps, so many a block."""
        valid = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
        count = -(-x.shape[1] // size)
        beyond = (0, 0, 0, count * size - x.shape[1])
        shape = (len(x), count, size, x.shape[2])
        sums = F.pad(x.masked_fill(~valid, 0.0), beyond).reshape(shape).sum(2)
        return cls(sums, F.pad(x.masked_fill(~valid, NOTHING), beyond, value=NOTHING).reshape(shape).amax(2))

    def packed(self) -> Tensor:
        return torch.cat(self, 2)

    @classmethod
    def unpacked(cls, packed: Tensor) -> Blocks:
        return cls(*packed.chunk(2, 2))

    def pools(self, lengths: Tensor, size: int) -> Tensor:
        """Mean beside maximum of the whole and of every part: (batch, 1 + parts, 2 * width)."""
        whole = torch.cat([self.sums.sum(1) / lengths[:, None], self.peaks.amax(1)], 1)[:, None]
        return torch.cat([whole, *(self._pools(lengths, size, blocks) for blocks in SIZES)], 1)

    def _pools(self, lengths: Tensor, size: int, blocks: int) -> Tensor:
        sums, peaks = (part.unfold(1, blocks, blocks // 2) for part in self._filled(blocks))
        begins = torch.arange(sums.shape[1], device=lengths.device) * (blocks // 2 * size)
        held = (lengths[:, None] - begins).clamp(1, blocks * size)[..., None]  # steps of each part
        highest = peaks.amax(-1)
        return torch.cat([sums.sum(-1) / held, highest.masked_fill(highest == NOTHING, 0.0)], 2)

    def _filled(self, blocks: int) -> Blocks:
        """With empty blocks behind, so that every part that begins is whole."""
        beyond = (0, 0, 0, blocks - self.sums.shape[1] % (blocks // 2))
        return Blocks(F.pad(self.sums, beyond), F.pad(self.peaks, beyond, value=NOTHING))


def number_of_parts(tokens: int, blocks: int) -> int:
    """How many of a size begin within so many tokens."""
    return -(-tokens // BLOCK) // (blocks // 2) + 1


def parts_of(tokens: int) -> list[tuple[int, int]]:
    """First token and length of each part that `Blocks.pools` gives, in its order."""
    return [
        (place * (blocks // 2) * BLOCK, blocks * BLOCK)
        for blocks in SIZES
        for place in range(number_of_parts(tokens, blocks))
    ]


def without_empty(logits: Tensor, lengths: Tensor, tokens: int) -> Tensor:
    """(batch, 1 + parts, classes) with the parts taken out that a row does not fill by half, or that are all of it."""
    device = lengths.device  # made there: a copy from the processor would have to wait for the card
    counts = [(number_of_parts(tokens, blocks), blocks) for blocks in SIZES]
    begin = torch.cat([torch.arange(count, device=device) * (blocks // 2 * BLOCK) for count, blocks in counts])
    size = torch.cat([torch.full((count,), blocks * BLOCK, device=device) for count, blocks in counts])
    real = (lengths[:, None] > size) & (begin + size // 2 < lengths[:, None])
    real = F.pad(real, (1, 0), value=True)  # the whole window counts always
    return logits.masked_fill(~real[..., None], NOTHING)


def in_their_part(steps: Tensor, parts: Tensor) -> Tensor:
    """Logits of steps (batch, tokens, classes), each in the light of the plainest of the longest parts that hold it.

    The chance of a step is the root of both chances' product: a step alone mishears, a part does not say when.
    """
    tokens, size = steps.shape[1], SIZES[0] * BLOCK
    count = number_of_parts(tokens, SIZES[0])
    longest = parts[:, 1 : 1 + count]  # each half of one is held by it and by the second half of the one before
    light = torch.maximum(longest, F.pad(longest[:, :-1], (0, 0, 1, 0), value=NOTHING))
    light = torch.where(light == NOTHING, parts[:, :1], light).repeat_interleave(size // 2, 1)[:, :tokens]
    chance = (F.logsigmoid(steps) + F.logsigmoid(light)) / 2
    return chance - torch.log(-torch.expm1(chance.clamp(max=-1e-7)))
