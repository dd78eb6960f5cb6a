"""`sam calibrate` and what comes of it, as a person meets them: the real program on real files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from samcli.checkpoints.calibration import FILE, Calibration, write_calibration
from tests.training.tune.small_base import save_base, write_sound

COLUMNS = ["label", "recordings", "sources", "threshold", "step_threshold", "precision", "precision_low",
           "precision_high", "recall", "recall_low", "recall_high", "f1", "f1_low", "f1_high"]  # fmt: skip


@pytest.fixture
def desk(here: Any) -> Any:
    """Recordings under two names that the tiny model knows and one that it does not."""
    for label, kind in (("dog", "warble"), ("Rain", "hiss"), ("wren", "warble")):
        for number, letter in enumerate("abcdef"):
            write_sound(here.folder / "street" / label / f"{label} {letter}.wav", kind, number + 20 * len(label))
    return here


def test_thresholds_go_into_a_folder_that_a_model_is_named_by(desk: Any) -> None:
    done = desk("calibrate", "street", "--model", "tiny-random", "--save", "mine", "-o", "labels.csv")
    assert done.returncode == 0 and done.stdout == b"", done.stderr
    assert b"no one name for: wren" in done.stderr and b"--model mine --threshold auto" in done.stderr
    rows = list(csv.DictReader(io.StringIO((desk.folder / "labels.csv").read_text())))
    assert list(rows[0]) == COLUMNS and [row["label"] for row in rows] == ["Dog", "Rain"]
    stored = json.loads((desk.folder / "mine" / FILE).read_text())
    assert stored["base"] == "tiny-random" and stored["made_from"] == {"recordings": 18, "sources": 18}
    for row in rows:
        assert row["recordings"] == "6" and float(row["threshold"]) == stored["labels"][row["label"]]["threshold"]
        assert 0 < float(row["threshold"]) < 1 and 0 < float(row["step_threshold"]) < 1
        if row["f1"]:
            assert float(row["f1_low"]) <= float(row["f1"]) <= float(row["f1_high"])

    heard = desk("tag", "street/dog", "--model", "mine", "--threshold", "auto", "-f", "jsonl")
    assert heard.returncode == 0, heard.stderr
    records = [json.loads(line) for line in heard.stdout.splitlines()]
    plain = [json.loads(line) for line in desk("tag", "street/dog", "--model", "tiny-random", "--threshold", "0",
                                              "-f", "jsonl", "--top-k", "12").stdout.splitlines()]  # fmt: skip
    for record, every in zip(records, plain, strict=True):
        assert (record["model"], record["threshold"], every["threshold"]) == ("mine", "auto", 0.0)
        wanted = [
            tag for tag in every["tags"] if tag["score"] >= stored["labels"].get(tag["label"], stored)["threshold"]
        ]
        assert record["tags"] == wanted[:5]


def test_beside_a_model_of_ones_own(desk: Any) -> None:
    base = save_base(desk.folder / "base")
    done = desk("calibrate", "street", "--model", "base", "-f", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [list(row) for row in rows] == [COLUMNS] * 2
    first = json.loads((base / FILE).read_text())
    assert "base" not in first and set(first["labels"]) == {"Dog", "Rain"}
    timeline = desk("tag", "street/dog/dog a.wav", "--model", "base", "--timeline", "-f", "jsonl")
    assert {json.loads(line)["threshold"] for line in timeline.stdout.splitlines()} == {"auto"}
    named = desk("tag", "street/dog/dog a.wav", "--model", "base", "--timeline", "--threshold", "0.2", "-f", "csv")
    lines = list(csv.DictReader(io.StringIO(named.stdout.decode())))
    assert {line["threshold"] for line in lines} == {"0.2"}
    # What was known of other labels stays.
    write_calibration(base, Calibration(0.33, {"Siren": {"threshold": 0.11}, "Dog": {"threshold": 0.99}}))
    assert desk("calibrate", "street", "--model", "base", "-q").returncode == 0
    second = json.loads((base / FILE).read_text())
    assert second["threshold"] == 0.33 and second["labels"]["Siren"] == {"threshold": 0.11}
    assert second["labels"]["Dog"] == first["labels"]["Dog"]


def test_an_adapter_is_judged_on_what_it_did_not_learn(desk: Any) -> None:
    save_base(desk.folder / "base")
    tuned = desk("train", "tune", "street", "-o", "birds", "--base", "base", "--method", "head", "--epochs", "5")
    assert tuned.returncode == 0, tuned.stderr
    done = desk("calibrate", "street", "--model", "birds", "-f", "jsonl")
    assert done.returncode == 0, done.stderr
    rows = {row["label"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {"Dog", "Rain", "wren"} and all(row["recordings"] == 1 for row in rows.values())
    assert "wren" in json.loads((desk.folder / "birds" / FILE).read_text())["labels"]
    every = desk("calibrate", "street", "--model", "birds", "--all", "-f", "jsonl")
    assert all(json.loads(line)["recordings"] == 6 for line in every.stdout.splitlines())
    heard = desk("tag", "street/wren", "--model", "birds", "--threshold", "auto", "-f", "jsonl")
    assert heard.returncode == 0 and {json.loads(line)["threshold"] for line in heard.stdout.splitlines()} == {"auto"}


def test_what_is_not_ones_own_is_never_written(desk: Any) -> None:
    from samcli.cli.commands.calibrate import own_folder

    done = desk("calibrate", "street", "--model", "tiny-random")
    assert done.returncode == 0 and b"nothing is stored" in done.stderr and b"--save" in done.stderr
    assert done.stdout.startswith(b"Dog\t6\t")
    shipped = Path(__file__).parents[2] / "samcli" / "data" / "sam-nano"
    assert own_folder(str(shipped)) is None and own_folder("sam-nano") is None and own_folder("tiny-random") is None
    cached = desk.folder / "models--org--name" / "snapshots" / "abc"
    cached.mkdir(parents=True)
    assert own_folder(str(cached)) is None


def test_one_bad_file_does_not_stop_the_rest(desk: Any) -> None:
    (desk.folder / "street" / "dog" / "broken.wav").write_bytes(b"RIFF nothing")
    done = desk("calibrate", "street", "--model", "tiny-random", "-f", "jsonl")
    assert done.returncode == 1 and b"broken.wav" in done.stderr
    assert [json.loads(line)["recordings"] for line in done.stdout.splitlines()] == [6, 6]


def test_what_cannot_be_is_refused(desk: Any) -> None:
    (desk.folder / "full").mkdir()
    (desk.folder / "full" / "thesis.txt").touch()
    (desk.folder / "strange" / "wren").mkdir(parents=True)
    write_sound(desk.folder / "strange" / "wren" / "a.wav", "warble", 1)
    for arguments, sentence in (
        (("street", "--model", "tiny-random", "--save", "full"), b"is there already"),
        (("strange", "--model", "tiny-random"), b"a label that tiny-random knows"),
        (("nowhere", "--model", "tiny-random"), b"no file or folder"),
        (("street", "--model", "tiny-random", "-o", "labels.pdf"), b"does not tell its format"),
    ):
        done = desk("calibrate", *arguments)
        assert done.returncode == 2 and sentence in done.stderr, done.stderr
    for threshold in ("high", "nan", "1.5"):
        done = desk("tag", "street", "--model", "tiny-random", "--threshold", threshold)
        assert done.returncode == 2 and b"--threshold" in done.stderr
    done = desk("tag", "street", "--model", "tiny-random", "--threshold", "auto")
    assert done.returncode == 2 and b"sam calibrate" in done.stderr
