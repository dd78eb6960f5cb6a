"""Rows gathered from several batches: what a batch of their own would have held."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import Toy

from samcli.engine.rows import Row, gather_encodings, gather_states, rows_of
from samcli.models.interface import Encoding


def encoding(tokens: list[int], seed: int) -> Encoding:
    chance = torch.Generator().manual_seed(seed)
    lengths, longest = torch.tensor(tokens), max(tokens)
    valid = (torch.arange(longest) < lengths[:, None])[..., None]
    features = torch.randn(len(tokens), longest, 3, generator=chance) * valid
    steps = torch.randn(len(tokens), longest, 5, generator=chance) * valid
    return Encoding(features, lengths, torch.randn(len(tokens), 5, generator=chance), steps)


batches = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=4)


@settings(deadline=None)
@given(batches, st.randoms(use_true_random=False), st.integers(1, 20))
def test_gathered_encodings(shapes: list[list[int]], chance: object, count: int) -> None:
    rows = [row for seed, tokens in enumerate(shapes) for row in rows_of(encoding(tokens, seed), len(tokens))]
    rows = chance.sample(rows, min(count, len(rows)))  # type: ignore[attr-defined]
    found = gather_encodings(rows)
    assert found.features.shape[1] == max(found.lengths) or found is rows[0].batch
    for place, row in enumerate(rows):
        length = int(found.lengths[place])
        assert length == row.batch.lengths[row.place]
        for name in ("features", "step_logits"):
            wanted = getattr(row.batch, name)[row.place, :length]
            assert torch.equal(getattr(found, name)[place, :length], wanted)
            assert not getattr(found, name)[place, length:].any()
        assert found.clip_logits is not None
        assert torch.equal(found.clip_logits[place], row.batch.clip_logits[row.place])


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False), st.integers(1, 16))
def test_gathered_states(sizes: list[int], chance: object, count: int) -> None:
    states = [torch.randn(size, 8) for size in sizes]
    rows = [row for state in states for row in rows_of(state, len(state))]
    rows = chance.sample(rows, min(count, len(rows)))  # type: ignore[attr-defined]
    found = gather_states(rows, Toy())
    assert torch.equal(found, torch.stack([row.batch[row.place] for row in rows]))


def test_a_whole_batch_is_not_copied() -> None:
    whole, state = encoding([3, 2], 0), torch.randn(2, 8)
    assert gather_encodings(rows_of(whole, 2)) is whole
    assert gather_states(rows_of(state, 2), Toy()) is state
    assert gather_encodings(rows_of(whole, 2)[:1]) is not whole
    assert gather_states([Row(state, 1, 2), Row(state, 0, 2)], Toy()).equal(state.flip(0))
