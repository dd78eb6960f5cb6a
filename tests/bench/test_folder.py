"""The bench of whole folders, and the yardsticks beside it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from peers import MobileNet, mel_filters, mobilenet_speed

from samcli.bench.folder import bench_folder, hear, make_clips
from samcli.checkpoints.loading import load_model


def test_clips_are_heard_whole(tmp_path: Path) -> None:
    clips = make_clips(tmp_path / "clips", 4, 2.0, ("wav", "mp3"))
    assert [path.suffix for path in sorted(clips.iterdir())] == [".wav", ".mp3", ".wav", ".mp3"]
    report = hear("tag", clips, load_model("tiny-random", device="cpu"))
    assert report.files_done == 4 and report.audio_seconds == pytest.approx(8, abs=0.2)
    assert 0 < report.model_share <= 1


def test_the_mobilenet_is_the_published_one(tmp_path: Path) -> None:
    network = MobileNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 983_599
    assert network.eval()(torch.zeros(2, 32_000)).shape == (2, 527)
    filters = mel_filters()
    assert filters.shape == (128, 513) and (filters >= 0).all() and not filters[:, -1].any()
    assert mobilenet_speed(sorted(make_clips(tmp_path / "clips", 2, 1.0, ("wav",)).iterdir())) > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_row_is_measured() -> None:
    rows = bench_folder(quick=True, model="tiny-random")
    assert len({row["name"] for row in rows}) == len(rows) >= 8
    for row in rows:
        assert row.keys() == {"name", "value", "unit", "limit", "ratio", "target"}
        assert math.isfinite(row["value"]) and row["value"] > 0
        assert row["limit"] is None or row["ratio"] == pytest.approx(row["value"] / row["limit"])
