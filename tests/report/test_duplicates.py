"""Copies are found, whatever they are stored as; and the list of labels."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile

from samcli.report.duplicates import _joined
from samcli.tasks.embed import Vector


def test_groups_are_what_pairs_connect() -> None:
    assert _joined(6, [(4, 5), (0, 3), (3, 4)]) == [[0, 3, 4, 5]]
    assert _joined(3, []) == []


def test_exact_and_near_copies(here, make_wav, tmp_path) -> None:
    from samcli.audio import read_sound

    make_wav(tmp_path / "a.wav", seconds=3, pitch=300)
    shutil.copy(tmp_path / "a.wav", tmp_path / "again.wav")
    soundfile.write(tmp_path / "other.flac", read_sound(tmp_path / "a.wav", 16_000), 16_000)
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).standard_normal(90_000) * 0.2, 16_000)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    done = here("duplicates", ".", "--model", "tiny-random", "--alike", "0.99999", "-f", "jsonl")
    assert done.returncode == 1 and b"b.wav" in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["group"], row["path"].rpartition("/")[2], row["kind"]) for row in rows] == [
        (1, "a.wav", "exact"), (1, "again.wav", "exact"), (1, "other.flac", "near")
    ]  # fmt: skip
    assert all(row["score"] == pytest.approx(1, abs=1e-4) for row in rows)


def test_silence_is_like_nothing() -> None:
    from samcli.report.duplicates import _alike

    silent = [Vector(name, 0.0, 3.0, np.zeros(4, np.float32)) for name in "ab"]
    assert list(_alike(silent, 0.9)) == []


def test_labels_by_name_synonym_and_what_they_fall_under(here) -> None:
    every = here("labels")
    assert every.returncode == 0 and len(every.stdout.splitlines()) == 527
    rows = {row["label"]: row for row in json.loads(here("labels", "dog", "-f", "json").stdout)}
    assert {"Dog", "Bark"} <= set(rows) and "Animal" in rows["Dog"]["under"] and "Bark" in rows["Dog"]["holds"]
    assert [json.loads(line)["label"] for line in here("labels", "honking", "-f", "jsonl").stdout.splitlines()]
    nothing = here("labels", "xylem")
    assert nothing.returncode == 2 and b"xylem" in nothing.stderr
