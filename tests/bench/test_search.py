"""The bench of searching: its rows, and that the repeated index is one that search can use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from samcli.bench import search as bench_search
from samcli.checkpoints.tiny import tiny_random
from samcli.engine.index.store import NAME, Index
from samcli.engine.inputs.find import find_inputs
from samcli.tasks.search import search_contents


def test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_search, "RECORDINGS", 60)
    rows = bench_search.bench_search(quick=True, model="tiny-random")
    assert [row["unit"] for row in rows] == ["s", "MB", "s", "s", "s"]
    assert all(row["value"] > 0 for row in rows)
    both = rows[-1]
    assert both["ratio"] == pytest.approx(both["value"] / both["limit"])


def test_repeated_recordings_are_found(tmp_path: Path, make_wav: Callable[..., Path]) -> None:
    model = tiny_random()
    for number in range(3):
        make_wav(tmp_path / "clips" / f"{number}.wav", pitch=200.0 * (number + 1), seed=number)
    with Index(tmp_path / "clips" / NAME, model) as index:
        index.update(find_inputs([tmp_path / "clips"]), model)
    bench_search.repeat(tmp_path / "clips" / NAME, tmp_path / "more", 11)
    with Index(tmp_path / "clips" / NAME, model, look=True) as index:
        assert len(index) == 11
        hits = search_contents("rain", index.contents(), index.labels, model, k=11)
    assert len(hits) == 11 and all(Path(hit.path).is_file() for hit in hits)
    assert len({round(hit.score, 4) for hit in hits}) == 3  # links sound as what they point to
