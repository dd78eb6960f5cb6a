"""Four voices of espeak-ng that no base knows: what tuning makes of ten sentences each, told by others' sentences.

    python -m pytest tests/training/tune/test_tune_demo.py -m slow
    PYTHONPATH=. python tests/training/tune/test_tune_demo.py FOLDER [CORPUS]   every method, its minutes, the dev tags

With SAMCLI_CORPUS (or CORPUS) set to the training corpus, the tags of its development split are held against those
of the base.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

VOICES = {"Andy": "Andy", "Belinda": "belinda", "Boris": "boris", "Linda": "linda"}
LEARNED, JUDGED = 10, 25  # sentences of each voice
PARTS = (
    "the farmer|a small child|my neighbour|the old captain|nobody here|her brother|every student|the tall woman",
    "opened|painted|carried|forgot|repaired|found|sold|described",
    "the wooden gate|a bag of apples|the broken clock|three letters|a red bicycle|the evening news|an empty house"
    "|the last ticket",
    "near the station|before breakfast|in the garden|on Sunday|behind the school|without a word|by the river"
    "|at midnight",
)
MOST_LOST = 0.02  # of the accuracy on everyday classes
LEAST_RIGHT = 0.85
MOST_MINUTES = 10.0


def sentences(count: int, seed: int = 1) -> list[str]:
    """No two alike."""
    rng = random.Random(seed)
    made: dict[str, None] = {}
    while len(made) < count:
        made[" ".join(rng.choice(part.split("|")) for part in PARTS)] = None
    return list(made)


def make_voices(folder: Path) -> None:
    """FOLDER/train and FOLDER/judge, a folder for each voice; pace and pitch vary as a reader's do."""
    texts = iter(sentences(len(VOICES) * (LEARNED + JUDGED)))
    rng = random.Random(2)
    for name, voice in VOICES.items():
        for part, count in (("train", LEARNED), ("judge", JUDGED)):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                path = folder / part / name / f"sentence {chr(ord('a') + number)}.wav"
                pace, pitch = str(rng.randint(140, 190)), str(rng.randint(40, 60))
                subprocess.run(
                    ["espeak-ng", "-v", f"en-us+{voice}", "-s", pace, "-p", pitch, "-w", path, next(texts)], check=True
                )


def run(*arguments: str | Path) -> str:
    """The real program; what it wrote."""
    command = [sys.executable, "-m", "samcli", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def right(model: Path, folder: Path) -> float:
    """The share of held-out sentences whose voice is told."""
    lines = run("tag", folder / "judge", "--model", model, "--labels", ",".join(VOICES), "-f", "jsonl").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == len(VOICES) * JUDGED
    return sum(record["tags"][0]["label"] == Path(record["path"]).parent.name for record in records) / len(records)


def dev_tags(models: list[str], corpus: Path, every: int = 1) -> Iterator[tuple[dict[str, float], float]]:
    """For each model its figures on the development split, and how often one of the voices is heard where none is."""
    from samcli.checkpoints.loading import load_model
    from samcli.engine.hearing import hear
    from samcli.evaluation.nano.dev_sounds import DevSounds, corpus_of
    from samcli.evaluation.nano.tags import tag_figures

    sounds = DevSounds.read(corpus_of(corpus), every)
    for name in models:
        model = load_model(name, device="cpu")
        heard = hear(model, [clip.wave for clip in sounds.clips])
        places = [place for place, label in enumerate(model.labels) if label in VOICES]
        alarms = [bool(places) and one.tags is not None and float(one.tags[places].max()) > 0.5 for one in heard]
        figures = {figure.key: float(figure.value or 0) for figure in tag_figures(sounds, model, heard)}
        yield figures, sum(alarms) / len(alarms)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_lora_learns_four_voices_and_keeps_what_it_knew(tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    make_voices(tmp_path)
    began = time.monotonic()
    run("train", "tune", tmp_path / "train", "-o", tmp_path / "mine", "--method", "lora", "--minutes", "8")
    assert (time.monotonic() - began) / 60 <= MOST_MINUTES
    assert right(tmp_path / "mine", tmp_path) >= LEAST_RIGHT
    assert sum(path.stat().st_size for path in (tmp_path / "mine").iterdir()) < 3_000_000
    corpus = os.environ.get("SAMCLI_CORPUS")
    if corpus:
        (before, _), (after, _) = dev_tags(["sam-nano", str(tmp_path / "mine")], Path(corpus))
        assert after["everyday_accuracy"] >= before["everyday_accuracy"] - MOST_LOST


def main(folder: Path, corpus: Path | None) -> None:
    if not (folder / "train").exists():
        make_voices(folder)
    rows: list[dict[str, Any]] = []
    for method in ("head", "lora", "dora", "full"):
        out = folder / method
        began = time.monotonic()
        run("train", "tune", folder / "train", "-o", out, "--method", method)
        rows.append({"method": method, "minutes": (time.monotonic() - began) / 60, "right": right(out, folder)})
        print(rows[-1], flush=True)
    if corpus is not None:
        names = ["sam-nano", *(str(folder / row["method"]) for row in rows)]
        for name, (figures, alarms) in zip(names, dev_tags(names, corpus), strict=True):
            print(name, figures, f"false alarms {alarms:.4f}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
