"""A small corpus in the layout of the real one, made from a seed: tones under the names of everyday sounds."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samcli.evaluation.nano.left_out import LEFT_OUT
from samcli.text.labels import labels

RATE = 24_000
# label, trust, source, AudioSet names, title
KINDS = (
    ("Dog", "class", "freesound-clips", "Dog", "a dog in a yard"),
    ("Rain", "class", "freesound-clips", "Rain", "rain"),
    ("Siren", "class", "freesound-clips", "Siren", "siren passing"),
    ("Sneezing", "class", "freesound-clips", "Sneeze", "sneeze"),
    ("Can opening", "class", "freesound-clips", "", "a can"),
    ("cat", "class", "github/somebody/animals", "Cat;Domestic animals, pets;Animal", "cat_1"),
    ("gunshot", "guess", "github/somebody/game", "Gunshot, gunfire", "gun/fire"),
    ("music", "guess", "github/somebody/game", "Music", "music/theme"),
)
CLASSES = {
    "Dog": "Dog;Bark",
    "Rain": "Rain;Raindrop",
    "Siren": "Siren",
    "Sneezing": "Sneeze",
    "Can opening": "Burst, pop",
}
CLIPS_OF_A_KIND = 5
ONTOLOGY = [
    {"id": "/m/0", "name": "Animal", "child_ids": ["/m/1"]},
    {"id": "/m/1", "name": "Dog", "child_ids": ["/m/2"]},
    {"id": "/m/2", "name": "Bark", "child_ids": []},
]


def sound(kind: int, take: int) -> np.ndarray:
    """Bursts of a tone that tells the kind, a second or two long."""
    chance = np.random.default_rng((kind, take))
    times = np.arange(round(RATE * chance.uniform(1.0, 2.5))) / RATE
    wave = np.sin(2 * np.pi * 200 * 1.4**kind * times) * (times % 0.8 < 0.6)
    return (0.3 * wave + 0.01 * chance.standard_normal(len(times))).astype(np.float32)


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 development clips, two of speech to learn from, and ten of sources that are left out of that."""
    folder = tmp_path_factory.mktemp("corpus")
    names = labels()
    rows, windows = [], []
    for number, (label, trust, source, audioset, title) in enumerate(KINDS):
        for take in range(CLIPS_OF_A_KIND):
            facts = label, trust, source, audioset, title
            rows.append(_clip(folder, "dev", f"{number}-{take}", sound(number, take), *facts))
            sure = np.zeros(len(names), np.float32)
            for name in audioset.split(";")[:1]:
                if name:
                    sure[names.index(name)] = 0.9
            windows.append(sure)
    for take in range(2):
        facts = "speech", "class", "pypi/voices", "Speech", "words"
        rows.append(_clip(folder, "train", f"speech-{take}", sound(9, take), *facts))
        windows.append(np.zeros(len(names), np.float32))
    for number, take in itertools.product(range(2), range(CLIPS_OF_A_KIND)):
        facts = "sound", "guess", LEFT_OUT[number], ("Dog", "Rain")[number], "a name"
        rows.append(_clip(folder, "train", f"left-out-{number}-{take}", sound(number, take + 50), *facts))
        windows.append(np.zeros(len(names), np.float32))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    np.savez(
        folder / "teacher_labels.npz",
        files=np.array([row["file"] for row in rows]),
        file_index=np.arange(len(rows)),
        window=np.zeros(len(rows), int),
        sqrt_prob_255=np.round(np.sqrt(np.stack(windows)) * 255).astype(np.uint8),
    )
    (folder / "ontology.json").write_text(json.dumps(ONTOLOGY))
    with (folder / "freesound_classes.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("class", "audioset_names"), *CLASSES.items()])
    return folder


def _clip(folder: Path, split: str, name: str, wave: np.ndarray, *facts: str) -> dict[str, str]:
    path = folder / split / f"{name}.flac"
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, wave, RATE)
    label, trust, source, audioset, title = facts
    return {
        "file": f"{split}/{name}.flac",
        "split": split,
        "source": source,
        "label": label,
        "trust": trust,
        "audioset": audioset,
        "title": title,
        "seconds": f"{len(wave) / RATE:.2f}",
        "licence": "CC0",
    }
