"""Cutting: nothing lost, nothing doubled, no slivers, and no trace of the blocks the sound came in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samcli.engine.windows import Cut, Piece, cut, window_lengths

RATE = 100  # samples per second: the arithmetic is the same, and cases are small
WINDOW = 10.0


def pieces(total: int, segment: float | None, blocks: list[int]) -> list[Piece]:
    """Cut 0, 1, 2, ... given in blocks of these lengths, over and over."""
    wave = np.arange(total, dtype=np.float32)
    edges = itertools.accumulate(itertools.cycle(blocks))
    cuts = list(itertools.takewhile(lambda edge: edge < total, edges))
    return list(cut(iter(np.split(wave, cuts)), Cut(RATE, WINDOW, segment)))


totals = st.integers(1, 12_000)
segments = st.one_of(st.none(), st.sampled_from([0.5, 1.0, 5.0, 9.9, 10.0, 12.0, 15.0, 25.0, 60.0]))
block_lists = st.lists(st.integers(1, 3000), min_size=1, max_size=5)


@settings(deadline=None)
@given(totals, segments, block_lists)
def test_every_sample_once_and_in_place(total: int, segment: float | None, blocks: list[int]) -> None:
    found = pieces(total, segment, blocks)
    assert np.array_equal(np.concatenate([piece.wave for piece in found]), np.arange(total))
    assert all(piece.start == piece.wave[0] for piece in found)


@settings(deadline=None)
@given(totals, segments, block_lists)
def test_blocks_leave_no_trace(total: int, segment: float | None, blocks: list[int]) -> None:
    shape = [(piece.segment, piece.order, len(piece.wave), piece.last) for piece in pieces(total, segment, blocks)]
    whole = [(piece.segment, piece.order, len(piece.wave), piece.last) for piece in pieces(total, segment, [total])]
    assert shape == whole


@settings(deadline=None)
@given(totals, segments, block_lists)
def test_segments_last_what_was_asked(total: int, segment: float | None, blocks: list[int]) -> None:
    found = pieces(total, segment, blocks)
    groups = [list(group) for _, group in itertools.groupby(found, lambda piece: piece.segment)]
    assert [group[0].segment for group in groups] == list(range(len(groups)))
    for group in groups:
        assert [piece.order for piece in group] == list(range(len(group)))
        assert [piece.last for piece in group] == [False] * (len(group) - 1) + [True]
        assert [len(piece.wave) for piece in group] == window_lengths(sum(len(piece.wave) for piece in group), 1000, 10)
    lengths = [sum(len(piece.wave) for piece in group) for group in groups]
    if segment is None:
        assert len(lengths) == 1
        return
    size = round(segment * RATE)
    assert all(length == size for length in lengths[:-1])
    sliver = min(RATE, size // 2)
    assert lengths[-1] < size + sliver
    assert len(lengths) == 1 or lengths[-1] >= sliver, "a remainder of less than a second joins the segment before"


@settings(deadline=None)
@given(st.integers(1, 100_000), st.integers(8, 1000), st.integers(1, 100))
def test_window_lengths(total: int, window: int, grain: int) -> None:
    grain = min(grain, window // 8)
    lengths = window_lengths(total, window, grain)
    assert sum(lengths) == total
    assert max(lengths) <= window
    assert len(lengths) < 3 or all(length == window for length in lengths[:-2])
    assert len(lengths) < 2 or lengths[-2] in (window, -(-lengths[-2] // grain) * grain)
    assert len(lengths) == -(-total // window) or len(lengths) == 1, "evening out costs no window"
    assert len(lengths) == 1 or 2 * min(lengths) >= window - 2 * grain, "no window is a sliver"


def test_no_sound_no_piece() -> None:
    assert list(cut(iter([]), Cut(RATE, WINDOW))) == []
    assert list(cut(iter([np.zeros(0, np.float32)]), Cut(RATE, WINDOW, 5.0))) == []


@pytest.mark.parametrize("segment", [None, 5.0, 3600.0])
def test_little_is_held(segment: float | None) -> None:
    handed = 0

    def blocks() -> object:
        nonlocal handed
        for _ in range(3000):
            handed += 50
            yield np.zeros(50, np.float32)

    taken = 0
    for piece in cut(blocks(), Cut(RATE, WINDOW, segment)):  # type: ignore[arg-type]
        taken += len(piece.wave)
        assert handed - taken <= 2 * WINDOW * RATE
