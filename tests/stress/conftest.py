"""A folder of sounds for the program to be stopped over, good and bad ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from sounds import blocks

TINY = ("--model", "tiny-random", "--device", "cpu")


@pytest.fixture
def fill() -> Callable[..., int]:
    """fill(folder, 300): so many inputs, each with a sound of its own; returns how many of them are good."""

    def make(folder: Path, count: int, seconds: float = 0.3) -> int:
        folder.mkdir(parents=True, exist_ok=True)
        good = 0
        for number in range(count):
            path = folder / f"{number:04}.wav"
            if number % 50 == 17:
                path.write_text("this is no sound")
            elif number % 50 == 33:
                path.write_bytes(b"")
            else:
                soundfile.write(path, blocks(seconds, number), 16_000)
                good += 1
        return good

    return make
