"""A few short sounds, questions about them, and networks small enough to teach in seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from samcli.checkpoints.format import save_module
from samcli.models.dass import Dass, DassConfig
from samcli.training.team import Team

RATE = 16_000
SECONDS = (0.4, 1.0, 2.2, 1.5)
ASKED = (
    ("cla_label", "Close-ended question: Classify the sound.", "Labels: Dog; Rain"),
    ("cap", "Close-ended question: Write an audio caption describing the sound.", "Audio caption: A dog barks."),
    ("temporal", "Close-ended question: Is there a dog?", "yes"),
    ("open-ended question", "What happens?", "A dog barks nearby."),
)


@pytest.fixture
def alone() -> Team:
    return Team(torch.device("cpu"))


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sounds/one.wav ... four.wav, each unlike the others."""
    folder = tmp_path_factory.mktemp("material") / "sounds"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, seconds, pitch in zip(("one", "two", "three", "four"), SECONDS, (0.02, 0.1, 0.5, 1.5), strict=True):
        times = np.arange(round(seconds * RATE))
        wave = 0.3 * np.sin(times * pitch) + rng.standard_normal(len(times)) * 0.02
        soundfile.write(folder / f"{name}.wav", wave.astype(np.float32), RATE)
    return folder


@pytest.fixture(scope="session")
def questions_file(sounds: Path) -> Path:
    """Every sound is asked about in all four ways, under a path that is not here."""
    items = [
        {"instruction": asked, "input": "", "audio_id": f"/data/{name}.flac", "task": task, "output": out}
        for name in ("one", "two", "three", "four")
        for task, asked, out in ASKED
    ]
    path = sounds.parent / "questions.json"
    path.write_text(json.dumps(items), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DASS of two small stages with three classes."""
    torch.manual_seed(0)
    config = DassConfig(widths=(8, 16), depths=(1, 1), classes=3, window_frames=64)
    folder = tmp_path_factory.mktemp("students") / "dass"
    save_module(folder, Dass(config), config)
    return folder


@pytest.fixture
def same_weights() -> Callable[[Any, Any], None]:
    def check(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert torch.equal(value, other[name]), name

    return check
