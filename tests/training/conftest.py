"""A corpus of a dozen sounds in the layout of the real one; a few more sounds, questions about them, small networks."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from samcli.checkpoints.format import save_module
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.text.labels import labels
from samcli.training.nano import material as material_module
from samcli.training.nano.corpus import Corpus
from samcli.training.nano.material import Material, prepare, synthetic_clips
from samcli.training.team import Team

ROWS = (
    # file, split, source, label, trust, audioset, title, seconds
    ("train/a/dog1.wav", "train", "freesound-clips", "Dog", "class", "Dog;Animal", "dog barks", 1.0),
    ("train/a/dog2.wav", "train", "freesound-clips", "Dog", "class", "Dog;Animal", "another dog", 6.0),
    ("train/b/rain.wav", "train", "game/one", "rain", "guess", "Rain;Rain on surface", "rain loop", 7.0),
    ("train/b/bell.wav", "train", "game/one", "bell", "guess", "Bell", "bell", 2.0),
    ("train/c/talk.wav", "train", "talk", "", "none", "", "hello", 3.0),
    ("train/a/wash.wav", "train", "freesound-clips", "Washing machine", "class", "", "washing", 2.0),
    ("dev/a/dog.wav", "dev", "freesound-clips", "Dog", "class", "Dog;Animal", "held out dog", 1.5),
    ("dev/d/rain.wav", "dev", "game/two", "rain", "guess", "Rain", "other rain", 4.0),
)
COLUMNS = ("file", "split", "source", "label", "trust", "audioset", "title", "seconds")
RATE = 16_000
SECONDS = (0.4, 1.0, 2.2, 1.5)
ASKED = (
    ("cla_label", "Close-ended question: Classify the sound.", "Labels: Dog; Rain"),
    ("cap", "Close-ended question: Write an audio caption describing the sound.", "Audio caption: A dog barks."),
    ("temporal", "Close-ended question: Is there a dog?", "yes"),
    ("open-ended question", "What happens?", "A dog barks nearby."),
)


def make_corpus(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    names = labels()
    teacher = np.zeros((len(ROWS), 527), np.uint8)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, "licence"])
        writer.writeheader()
        for i, row in enumerate(ROWS):
            writer.writerow(dict(zip(COLUMNS, row, strict=True)) | {"licence": "CC0"})
            samples = int(row[7] * 16000)
            wave = rng.standard_normal(samples) * 0.02 + 0.3 * np.sin(np.arange(samples) * 0.05 * (i + 1))
            path = folder / row[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave.astype(np.float32), 16000)
    teacher[0, names.index("Dog")] = 230
    teacher[2, names.index("Rain")] = 200  # confirms the guess; nothing confirms the bell
    teacher[4, names.index("Speech")] = 250
    np.savez(
        folder / "teacher_labels.npz",
        files=np.array([row[0] for row in ROWS]),
        file_index=np.arange(len(ROWS), dtype=np.int32),
        window=np.zeros(len(ROWS), np.int16),
        sqrt_prob_255=teacher,
    )
    (folder / "freesound_classes.csv").write_text(
        "class,audioset_names\nDog,Dog;Bark\nWashing machine,Mechanical fan\n", encoding="utf-8"
    )
    nodes = [
        {"id": "1", "name": "Animal", "child_ids": ["2"]},
        {"id": "2", "name": "Dog", "child_ids": ["3"]},
        {"id": "3", "name": "Bark", "child_ids": []},
        {"id": "4", "name": "Bell", "child_ids": []},
    ]
    (folder / "ontology.json").write_text(json.dumps(nodes), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def material(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Material:
    with pytest.MonkeyPatch.context() as patch:  # three of each synthetic sound do as well as all sixty
        patch.setattr(material_module, "synthetic_clips", partial(synthetic_clips, each=3))
        return prepare(Corpus.read(corpus_folder, labels()), tmp_path_factory.mktemp("features"))


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
