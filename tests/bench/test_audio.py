"""The speed figures: the rows that are asked for, measured on real files. No speed is demanded here."""

from __future__ import annotations

import math

from samcli.bench.audio import bench_audio


def test_rows() -> None:
    rows = bench_audio(quick=True)
    assert [row["name"].split(",")[0] for row in rows] == [
        "filter bank",
        "decode wav",
        "decode flac",
        "decode mp3",
        "decode ogg",
        "decode m4a",
    ]
    for row in rows:
        assert list(row) == ["name", "value", "unit", "limit", "ratio", "target"]
        assert row["unit"] == "s/s"
        assert math.isfinite(row["value"]) and row["value"] > 0
        assert math.isclose(row["ratio"], row["value"] / row["limit"])
    assert rows[0]["target"] == 1000.0
