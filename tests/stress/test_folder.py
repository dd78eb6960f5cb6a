"""Thousands of damaged sounds in one run: a record for each, and the good among them as if they had been alone.

python -m pytest tests/stress/test_folder.py -m stress        # 5,000 damaged files in one run
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from damage import mutate
from sounds import FIVE, sound_bytes

TINY = ("--model", "tiny-random", "--device", "cpu")


def alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The same record, up to the last digits of a sum in another order."""
    scores = [{tag["label"]: tag["score"] for tag in record.pop("tags") or ()} for record in (one, other)]
    assert one == other
    assert scores[0] == pytest.approx(scores[1], abs=2e-5)


@pytest.mark.parametrize(
    "damaged, good", [(60, 8), pytest.param(5000, 200, marks=[pytest.mark.stress, pytest.mark.timeout(7200)])]
)
def test_damaged_files_in_one_run(sam: Any, here: Any, damaged: int, good: int) -> None:
    chance = random.Random(damaged)
    folder = sam.folder / "in"
    folder.mkdir()
    whole = {kind: [sound_bytes(kind, 0.6), sound_bytes(kind, 0.3, channels=2)] for kind in FIVE}
    names = [f"{number:05}.{FIVE[number % len(FIVE)]}" for number in range(damaged + good)]
    intact = set(chance.sample(names, good))
    for name in names:
        kind = name.rpartition(".")[2]
        sound = chance.choice(whole[kind])
        others = [other for kinds in whole.values() for other in kinds]
        (folder / name).write_bytes(sound if name in intact else mutate(sound, chance, others) + b"\0")
    done = sam("tag", "in", "-o", "tags.jsonl", "--threshold", "0", *TINY)
    said = done.stderr.decode()
    assert done.returncode == 1 and "Traceback" not in said and "Warning" not in said, said[-2000:]
    assert all(line.startswith("sam: ") for line in said.splitlines()), "only sam speaks"
    records = [json.loads(line) for line in (sam.folder / "tags.jsonl").read_bytes().splitlines()]
    assert [record["path"] for record in records] == [f"in/{name}" for name in names]
    for record in records:
        assert (record["error"] is None) == (record["duration"] is not None)
        if record["error"] is not None:
            assert record["path"] in record["error"]["message"] and record["error"]["type"]
        else:
            assert 0 < record["covered"] <= record["duration"]
    by_path = {record["path"]: record for record in records}
    (sam.folder / "list").write_text("".join(f"in/{name}\n" for name in sorted(intact)))
    # One batch, one thread, one file after the other: each as it is alone.
    alone = here("tag", "--files-from", "list", "-f", "jsonl", "--threshold", "0", "--batch-size", "1", *TINY)
    assert alone.returncode == 0, alone.stderr
    found = [json.loads(line) for line in alone.stdout.splitlines()]
    assert len(found) == good
    for record in found:
        alike(by_path[record["path"]], record)
    kinds = {record["error"]["type"] for record in records if record["error"]}
    heard = sum(record["error"] is None for record in records)
    print(f"{damaged} damaged and {good} good files: {heard} heard, errors of the kinds {sorted(kinds)}")
