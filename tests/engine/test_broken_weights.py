"""Weights whose numbers run out: a caption fails as tags do, file by file, and never leaves as an empty success."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from samcli.checkpoints.loading import load_model, locate
from samcli.engine.inputs.find import find_inputs
from samcli.engine.options import RunOptions
from samcli.tasks.run import run


def one_lost(name: str, weight: Tensor) -> Tensor:
    weight = weight.clone()
    if name == "language.backbone.embedding.weight":
        weight.view(-1)[5] = float("nan")
    return weight


BREAKS: dict[str, Callable[[str, Tensor], Tensor]] = {
    "nan": lambda name, weight: weight * float("nan"),
    "inf": lambda name, weight: weight * float("inf"),
    "huge": lambda name, weight: weight.float() * 1e30,
    "words huge": lambda name, weight: weight.float() * (1e30 if name.startswith("language.") else 1),
    "one number lost": one_lost,
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_caption_fails_where_the_numbers_run_out(kind: str, tmp_path: Path, write: Callable[..., Path]) -> None:
    folder = shutil.copytree(locate("sam-nano").folder, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    broken = {
        name: BREAKS[kind](name, weight).contiguous() if weight.is_floating_point() else weight
        for name, weight in weights.items()
    }
    assert broken.keys() == weights.keys()
    save_file(broken, folder / "model.safetensors")
    inputs = find_inputs([write(tmp_path / "sounds" / f"{seed}.wav", 1, seed=seed) for seed in range(2)])
    records = list(run("caption", inputs, load_model(str(folder), device="cpu"), RunOptions(beams=2)))
    assert [record.error is not None and record.error.type for record in records] == ["non-finite"] * 2
    assert all(record.text is None for record in records)
