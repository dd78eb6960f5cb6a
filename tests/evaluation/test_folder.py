"""A person's folder for each label, heard and judged."""

from __future__ import annotations

import json


def test_a_folder_for_each_label(here, make_wav, tmp_path) -> None:
    for label in ("dog", "Rain"):
        (tmp_path / "mine" / label).mkdir(parents=True)
        for number in range(2):
            make_wav(tmp_path / "mine" / label / f"{number}.wav", seconds=1, seed=number)
    done = here("eval", "mine", "--model", "tiny-random", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {row["label"] for row in report["details"]["classes"]} == {"Dog", "Rain"}


def test_labels_that_the_model_lacks_are_named(here, make_wav, tmp_path) -> None:
    (tmp_path / "mine" / "xylem").mkdir(parents=True)
    make_wav(tmp_path / "mine" / "xylem" / "a.wav", seconds=1)
    done = here("eval", "mine", "--model", "tiny-random")
    assert done.returncode == 2 and b"xylem" in done.stderr
    (tmp_path / "empty").mkdir()
    empty = here("eval", "empty")
    assert empty.returncode == 2 and b"one for each label" in empty.stderr
