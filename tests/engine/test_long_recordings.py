"""Long recordings of many sounds through the bundled model: sentences, and never a loop of one word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from samcli.audio import open_sound
from samcli.checkpoints.loading import load_model, locate
from samcli.engine.inputs.find import find_inputs
from samcli.engine.options import RunOptions
from samcli.models.interface import SoundModel
from samcli.tasks.run import run
from samcli.text.judge import faults

RATE = 16_000
DEMO = Path(locate("sam-nano").folder).parent / "demo"


@pytest.fixture(scope="module")
def nano() -> SoundModel:
    return load_model("sam-nano", device="cpu")


def medley(seconds: float, seed: int = 0) -> np.ndarray:
    """The demo clips among made sounds: sweeps, chords, clicks, coloured noise, each some seconds long."""
    chance = np.random.default_rng(seed)
    clips = []
    for path in sorted(DEMO.glob("*.opus")):
        with open_sound(path, RATE) as reader:
            clips.append(np.concatenate(list(reader)))
    sounds: list[np.ndarray] = []
    while sum(map(len, sounds)) < seconds * RATE:
        time = np.arange(round(chance.uniform(1.5, 4) * RATE)) / RATE
        noise = chance.standard_normal(len(time))
        low, high = chance.uniform(80, 400), chance.uniform(600, 4000)
        made = (
            clips[chance.integers(len(clips))][: len(time)],
            np.sin(2 * np.pi * (low * time + (high - low) * time**2 / 2 / time[-1])),
            sum(np.sin(2 * np.pi * low * part * time) / part for part in range(1, 9)) * np.exp(-time),
            noise * (np.sin(2 * np.pi * chance.uniform(1, 9) * time) > 0.9),
            np.convolve(noise, np.exp(-np.arange(200) / chance.uniform(2, 60)), mode="same"),
            np.sin(2 * np.pi * high * time) * (np.sin(2 * np.pi * chance.uniform(1, 5) * time) > 0),
            clips[chance.integers(len(clips))][len(time) // 2 : len(time)] + 0.0,
        )[chance.integers(7)]
        sounds.append(0.4 * np.asarray(made) / max(1e-3, float(np.abs(made).max())))
    return np.concatenate(sounds)[: round(seconds * RATE)].astype(np.float32)


def test_a_medley_of_many_sounds_is_told_in_sentences(nano: SoundModel, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "medley.wav", medley(60), RATE, subtype="FLOAT")
    inputs = find_inputs([tmp_path])
    [record] = run("caption", inputs, nano)
    assert record.error is None and record.caption
    parts = [part.strip() for part in record.caption.replace("...", "").split("0:") if part.strip()]
    assert not any("Yes" in part for part in parts)
    assert record.end == 60
    [answer] = run("ask", inputs, nano, RunOptions(question="what can be heard?"))
    assert answer.error is not None or (answer.answer and "Yes Yes" not in answer.answer)


def test_a_long_recording_of_one_sound_is_one_sentence(nano: SoundModel, tmp_path: Path) -> None:
    with open_sound(DEMO / "dog.opus", RATE) as reader:
        dog = np.concatenate(list(reader))
    soundfile.write(tmp_path / "dog.wav", np.tile(dog, 12)[: 60 * RATE], RATE, subtype="FLOAT")
    [record] = run("caption", find_inputs([tmp_path]), nano)
    assert record.error is None and record.warning is None
    assert record.caption and "dog" in record.caption.lower() and faults(record.caption) == []
