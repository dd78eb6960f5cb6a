"""Figures: of every kind, of a stretch, and what is refused."""

from __future__ import annotations

import pytest

from samcli.records import Event
from samcli.report.entry import Entry
from samcli.report.plot import MOST_LANES, lanes_of

pytest.importorskip("matplotlib")
TINY = ("--model", "tiny-random")


@pytest.mark.parametrize("name, begins", [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_each_kind_of_file(name: str, begins: bytes, here, make_wav, tmp_path) -> None:
    make_wav(tmp_path / "$a_b.wav", seconds=3)
    done = here("plot", "$a_b.wav", "-o", name, "--start", "1", "--end", "2", "--dark", *TINY)
    assert done.returncode == 0 and done.stdout == b"", done.stderr
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_what_cannot_be_drawn(here, make_wav, tmp_path) -> None:
    make_wav(tmp_path / "a.wav", seconds=1)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    assert here("plot", "a.wav", "-o", "a.gif", *TINY).returncode == 2
    assert here("plot", "a.wav", "--start", "5", *TINY).returncode == 2
    assert here("plot", "a.wav", "--start", "0.5", "--end", "0.2", *TINY).returncode == 2
    assert here("plot", "b.wav", *TINY).returncode == 1
    assert list(tmp_path.glob("*.png")) == []


def test_lanes_are_the_longest_labels_within_the_stretch() -> None:
    events = [Event(f"label {number}", 0.5, number, 2.0 * number + 1) for number in range(20)]
    lanes = lanes_of(Entry("a.wav", events=events), 5.0, 15.0)
    assert len(lanes) == MOST_LANES and lanes[0] == ("label 7", [(7, 15.0)])
    assert all(5 <= start < end <= 15 for _, stretches in lanes for start, end in stretches)
