"""`sam train align`, `distill` and `pretrain` as a person runs them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from samcli.cli.train.shared import stage_numbers
from samcli.errors import UsageError
from tests.conftest import files_up_to

# Each starts torch several times over, which takes minutes on a machine that is busy with a training.
pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).resolve().parents[2]
ALIGN = ("--encoder", "tiny-random", "--language", "tiny-random", "--rank", "4", "--dropout", "0", "--warm-up", "1")


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model.safetensors")


def test_align_teaches_a_model_that_answers(sam: Any, here: Any, questions_file: Path, sounds: Path) -> None:
    arguments = ("train", "align", questions_file, "--audio", sounds, *ALIGN, "--steps", "2,1,1,2")
    done = sam(*arguments, "--batch-size", "4", "--recompute", "-o", "my-sam")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"my-sam\n"
    assert b"16 questions: 4 classification, 4 caption, 4 closed, 4 open" in done.stderr
    assert b"stage 4  step 6 of 6" in done.stderr
    lines = [json.loads(line) for line in (sam.folder / "my-sam/training/metrics.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == ["stage 1", "stage 2", "stage 3", "stage 4"]
    answered = here(
        "ask", "what happens?", sounds / "two.wav", "--model", "my-sam", "-f", "jsonl", "--max-new-tokens", "1"
    )
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout)["question"] == "what happens?"
    other = here(*arguments, "--batch-size", "8", "-o", "my-sam")
    assert other.returncode == 2 and b"training" in other.stderr and b"4" in other.stderr and b"8" in other.stderr


def test_two_processes_learn_what_one_with_twice_the_batch_learns(
    sam: Any, here: Any, questions_file: Path, sounds: Path, environment: dict[str, str]
) -> None:
    arguments = [str(part) for part in ("train", "align", questions_file, "--audio", sounds, *ALIGN)]
    arguments += ["--steps", "2,1,1,2", "--batch-size", "4", "--rate", "1e-3", "--save-every", "0"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1"]
    launcher += ["--master_port", str(port), "-m", "samcli", *arguments, "--at-once", "2", "-o", "two"]
    together = subprocess.run(
        launcher, cwd=sam.folder, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=900
    )
    assert together.returncode == 0, together.stderr
    assert together.stdout == b"two\n"  # one of them speaks for both
    alone = here(*arguments, "--at-once", "4", "-o", "one")
    assert alone.returncode == 0, alone.stderr
    two, one = weights(sam.folder / "two"), weights(sam.folder / "one")
    assert two.keys() == one.keys()
    for name, value in one.items():
        # Where a gradient is next to nothing, rounding decides its sign, and the optimiser takes a whole step by it.
        apart = (value - two[name]).float().abs()
        assert apart.mean() < 5e-5 and apart.max() < 5e-3, name
    losses = [
        [json.loads(line)["loss"] for line in (sam.folder / out / "training/metrics.jsonl").read_text().splitlines()]
        for out in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_distill_makes_a_tagger(here: Any, sounds: Path, student_folder: Path) -> None:
    done = here("train", "distill", sounds, "--teacher", "tiny-random", "--student", student_folder, "--steps", "3",
                "--batch-size", "2", "-o", "my-tagger")  # fmt: skip
    assert done.returncode == 0, done.stderr
    tags = here("tag", sounds / "two.wav", "--model", "my-tagger", "-f", "jsonl", "--threshold", "0")
    assert tags.returncode == 0, tags.stderr
    assert {tag["label"] for tag in json.loads(tags.stdout)["tags"]} <= {"Speech", "Music", "Dog", "Bark", "Siren",
        "Rain", "Bird", "Vehicle", "Water", "Silence", "Inside, small room", "Outside, urban or manmade"}  # fmt: skip


def test_pretrain_stops_when_asked_and_goes_on(sam: Any, here: Any, sounds: Path) -> None:
    arguments = ("train", "pretrain", sounds, "--size", "nano", "--seconds", "0.64", "--batch-size", "2",
                 "--steps", "50", "-o", "my encoder")  # fmt: skip
    running = sam.start(*arguments)
    log = sam.folder / "my encoder/training/metrics.jsonl"
    for _ in range(1200):
        if log.exists() or running.poll() is not None:
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=600)
    assert running.returncode == 130, said
    assert said.endswith(b"sam: stopped; the same command goes on from the last save.\n")
    assert not (sam.folder / "my encoder/config.json").exists()
    done = here(*arguments)
    assert done.returncode == 0 and done.stdout == b"my encoder\n", done.stderr
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == [20, 40, 50]
    assert json.loads((sam.folder / "my encoder/config.json").read_text())["model_type"] == "ssamba"


def test_a_disk_that_is_full_is_said_and_nothing_is_half_written(here: Any, sounds: Path) -> None:
    """The frames fit, the state does not."""
    with files_up_to(400_000):
        done = here("train", "pretrain", sounds, "--size", "nano", "--seconds", "0.64", "--batch-size", "1",
                    "--steps", "1", "-o", "out")  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert b"Cannot write" in done.stderr and b"state.pt" in done.stderr
    assert sorted(path.name for path in (here.folder / "out/training").iterdir()) == [
        "frames", "metrics.jsonl", "settings.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("align", "nothing.json", "-o", "x"), b"no file named"),
        (("align", "q.json", "--audio", "nowhere", "-o", "x"), b"no folder named"),
        (("align", "q.json"), b"-o FOLDER"),
        (("distill", "in", "-o", "x"), b"--teacher"),
        (("pretrain", "in", "-o", "x", "--size", "giant"), b"nano, tiny, small, base"),
        (("pretrain", "in", "-o", "x", "--probe", "in"), b"manifest.csv"),
    ],
)
def test_what_cannot_work_is_refused_before_it_starts(here: Any, sounds: Path, arguments: Any, words: bytes) -> None:
    (here.folder / "q.json").write_text("[]")
    (here.folder / "in").symlink_to(sounds)
    done = here("train", *arguments)
    assert done.returncode == 2 and words in done.stderr, done.stderr
    assert not (here.folder / "x").exists()


def test_a_number_for_each_stage_or_one_for_all() -> None:
    assert stage_numbers("2,2,1,1", "epochs", "1,1,1,1") == (2, 2, 1, 1)
    assert stage_numbers("3", "steps", "1,1,1,1") == (3, 3, 3, 3)
    assert stage_numbers("3", "steps", "1,2,3") == (3, 3, 3)
    for text in ("1,2", "a,b,c,d", "0,0,0,0", "-1,1,1,1", ""):
        with pytest.raises(UsageError, match="four stages"):
            stage_numbers(text, "epochs", "2,2,1,1")
