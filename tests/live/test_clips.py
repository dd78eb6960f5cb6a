"""The sound around events: the right seconds of it, and never more than the limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from samcli.errors import UsageError
from samcli.live.clips import Clips, name_of, size_of
from samcli.live.listener import Told
from samcli.records import Record, Tag

RATE = 8000


def event(number: int, start: float, end: float, label: str = "Dog") -> Told:
    record = Record(task="tag", path="x", start=start, end=end, tags=(Tag(label, 0.9),))
    return Told("end", number, record, 1_700_000_000.0 + start, 1_700_000_000.0 + end)


def test_the_right_seconds(tmp_path: Path) -> None:
    clips = Clips(str(tmp_path / "new" / "clips"), 10**9, RATE)
    wave = np.linspace(-0.9, 0.9, 100 * RATE, dtype=np.float32)
    for at in range(0, 90 * RATE, RATE // 2):
        clips.hear(wave[at : at + RATE // 2], at + RATE // 2)
    kept = clips.keep(event(1, 80.0, 85.0))
    assert kept is not None
    found, rate = soundfile.read(kept, dtype="float32")
    assert rate == RATE and np.allclose(found, wave[78 * RATE : 87 * RATE], atol=1e-4)
    long = clips.keep(event(2, 10.0, 89.0))
    assert long is not None and soundfile.info(long).duration == pytest.approx(59.0)
    assert clips.keep(event(3, 1.0, 2.0)) is None  # its sound is gone
    assert clips.keep(event(4, 80.0, 85.0)._replace(kind="begin")) is None


def test_old_clips_make_room_and_nothing_else(tmp_path: Path) -> None:
    mine = tmp_path / "a.flac"
    mine.write_bytes(bytes(10**6))
    clips = Clips(str(tmp_path), 100_000, RATE)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 60 * RATE).astype(np.float32)
    clips.hear(noise, len(noise))
    for number in range(12):
        clips.keep(event(number, 5.0 * number, 5.0 * number + 1))
    own = sorted(path for path in tmp_path.iterdir() if path != mine)
    assert mine.exists() and sum(path.stat().st_size for path in own) <= 100_000
    assert own and own[-1].name == name_of(event(11, 55.0, 56.0))  # the latest stay


def test_names_hold_nothing_strange() -> None:
    name = name_of(event(7, 0.5, 1.0, "Bird vocalization, bird call/../../x"))
    assert name == "20231114T221320.500Z_7_bird-vocalization-bird-call-x.flac"


def test_sizes() -> None:
    assert [size_of(text) for text in ("1000", "500M", "2G", "1.5k", "3gb")] == [
        1000,
        500 * 10**6,
        2 * 10**9,
        1500,
        3 * 10**9,
    ]
    for text in ("", "much", "-1", "1X"):
        with pytest.raises(UsageError):
            size_of(text)
