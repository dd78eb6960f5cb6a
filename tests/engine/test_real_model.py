"""The promises of `test_run` once more, with the real classes at their smallest."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from samcli.checkpoints.loading import load_model
from samcli.engine.inputs.find import find_inputs
from samcli.engine.options import RunOptions
from samcli.models.interface import SoundModel
from samcli.tasks.run import run

DEVICE = os.environ.get("SAM_CHECK_DEVICE", "cuda")  # cpu: whether the test of a card runs at all
LENGTHS = (1, 1, 10, 25.7, 0.05, 3.3, 12, 1, 1, 1.04, 7.7, 0.3)


@pytest.fixture(scope="module")
def tiny() -> SoundModel:
    return load_model("tiny-random", device="cpu")


@pytest.fixture
def sounds(tmp_path: Path, write: Callable[..., Path]) -> Path:
    for seed, seconds in enumerate(LENGTHS):
        write(tmp_path / f"{seed:02}.wav", seconds, seed=seed)
    return tmp_path


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("tag", RunOptions(top_k=12, threshold=0)),
        ("caption", RunOptions(max_new_tokens=3)),
        ("caption", RunOptions(segment=6, max_new_tokens=3)),
        ("ask", RunOptions(question="is there a dog?", max_new_tokens=3)),
        ("tag", RunOptions(timeline=True, threshold=0.4)),
    ],
    ids=["tags", "caption", "segments", "answer", "timeline"],
)
def test_alone_or_in_company(tiny: SoundModel, sounds: Path, task: str, options: RunOptions) -> None:
    inputs = find_inputs([sounds])
    together = list(run(task, inputs, tiny, options))
    alone = [record for item in inputs for record in run(task, [item], tiny, replace(options, batch_size=1, threads=1))]
    assert [replace(record, tags=None) for record in together] == [replace(record, tags=None) for record in alone]
    for one, other in zip(together, alone, strict=True):
        scores = [{tag.label: tag.score for tag in record.tags or ()} for record in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1.01e-4)
    assert any(record.text for record in together)
    assert len(together) >= len(LENGTHS)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE != "cpu" and not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("task", ["tag", "caption"])
def test_a_gpu_says_what_a_cpu_says(tiny: SoundModel, sounds: Path, task: str) -> None:
    on_gpu = load_model("tiny-random", device=DEVICE, dtype=torch.float32)
    inputs = find_inputs([sounds])
    options = RunOptions(top_k=12, threshold=0, max_new_tokens=12)
    for one, other in zip(run(task, inputs, tiny, options), run(task, inputs, on_gpu, options), strict=True):
        assert (one.path, one.caption, one.silent, one.error) == (other.path, other.caption, other.silent, other.error)
        scores = [{tag.label: tag.score for tag in record.tags or ()} for record in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-3)
