"""`sam train mohawk` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.checkpoints.modules import load_folder
from samcli.text.tokenizer import Tokenizer

pytestmark = pytest.mark.timeout(1200)
QUICK = ("--steps", "1,1,2", "--length", "16", "--batch-size", "2", "--warm-up", "1")


def test_a_transformer_becomes_a_model_that_goes_on_speaking(here: Any, teacher_folder: Path) -> None:
    (here.folder / "book.txt").write_text("A dog barks. Then it rains, and a bell rings.\n" * 60)
    arguments = ("train", "mohawk", teacher_folder, "--text", "book.txt", *QUICK)
    done = here(*arguments, "-o", "my-mamba")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"my-mamba\n"
    assert b"whole  step 4 of 4" in done.stderr and b"perplexity of what was held out: teacher " in done.stderr
    made = load_folder(here.folder / "my-mamba")
    assert made.kind == "phi" and made.config.block == "llama"
    model: Any = made.module
    tokens = torch.tensor([Tokenizer.load(here.folder / "my-mamba").encode("A dog")])
    logits, _ = model.prefill(tokens)
    assert torch.isfinite(logits).all() and logits.shape == (1, made.config.vocab_size)
    assert "held-out text: teacher" in (here.folder / "my-mamba/README.md").read_text()
    found = json.loads((here.folder / "my-mamba/training/perplexity.json").read_text())
    assert list(found) == ["teacher", "beginning", "matrices", "hidden", "whole"]
    other = here(*arguments[:3], *QUICK, "-o", "my-mamba")
    assert other.returncode == 2 and b"training" in other.stderr and b"tokens" in other.stderr


def test_from_a_transformer_to_captions(
    here: Any, teacher_folder: Path, questions_file: Path, sounds: Path, make_wav: Any
) -> None:
    """What MOHAWK makes is taught to hear, and says the same in any batch."""
    assert here("train", "mohawk", teacher_folder, *QUICK, "-o", "student").returncode == 0
    parts = ("--encoder", "tiny-random", "--language", "student/", "--rank", "4", "--dropout", "0", "--warm-up", "1")
    taught = here("train", "align", questions_file, "--audio", sounds, *parts, "--steps", "1,1,1,3", "--rate", "1e-2",
                  "--batch-size", "4", "--recompute", "-o", "my-sam")  # fmt: skip
    assert taught.returncode == 0, taught.stderr
    assert taught.stdout == b"my-sam\n"
    made, student = load_folder(here.folder / "my-sam"), load_folder(here.folder / "student")
    assert made.config.language == student.config
    before, after = (dict(module.named_parameters()) for module in (student.module, made.module.language))
    learned = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {name.split(".", 3)[-1] for name in learned} >= {"mixer.in_proj.weight", "mixer.out_proj.weight"}
    assert not any(".mlp." in name for name in learned)

    make_wav(here.folder / "long.wav", seconds=23.0)
    recordings = ["long.wav", *sorted(sounds.glob("*.wav"))]
    asked = ("--model", "my-sam", "-f", "jsonl", "--max-new-tokens", "8")
    captions = [here("caption", *recordings, *asked, "--beams", "2", "--batch-size", str(size)) for size in (1, 3, 16)]
    answers = [here("ask", "what happens?", *recordings, *asked, "--batch-size", str(size)) for size in (1, 16)]
    for done in (captions, answers):  # so short a training may say nonsense, which is an error and not a caption
        assert {one.returncode for one in done} <= {0, 1} and len({one.returncode for one in done}) == 1, done[0].stderr
        said = [[json.loads(line) for line in one.stdout.splitlines()] for one in done]
        assert len(said[0]) == len(recordings) and all(other == said[0] for other in said)
    for record in map(json.loads, captions[0].stdout.splitlines()):
        assert record["caption"] or record["error"]["type"] == "no-words"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nowhere/",), 3, b"does not exist"),
        (("sam-nano",), 3, b"model_type 'sam', which cannot teach here: llama, phi, gpt_neox can."),
        (("TEACHER", "--steps", "1,2"), 2, b"for each of the three stages"),
        (("TEACHER", "--text", "no.txt"), 2, b"There is no text at 'no.txt'."),
    ],
)
def test_what_cannot_be_is_said(
    arguments: tuple[str, ...], code: int, said: bytes, here: Any, teacher_folder: Path
) -> None:
    named = [str(teacher_folder) if part == "TEACHER" else part for part in arguments]
    done = here("train", "mohawk", *named, "-o", "out")
    assert done.returncode == code and said in done.stderr and b"Traceback" not in done.stderr
    assert not (here.folder / "out").exists()


def test_it_says_where_the_model_should_go(here: Any, teacher_folder: Path) -> None:
    done = here("train", "mohawk", teacher_folder)
    assert done.returncode == 2 and b"-o FOLDER" in done.stderr
