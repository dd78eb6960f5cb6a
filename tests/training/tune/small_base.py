"""A base small enough to be taught in a second, and two kinds of sound that it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch

from samcli.checkpoints.format import save_module
from samcli.checkpoints.tiny import LABELS, tiny_network, tiny_tokenizer
from samcli.models.sam import SamNetwork

RATE = 16_000


def save_base(folder: Path, seed: int = 230) -> Path:
    """tiny-random as a folder of its own, with a tag reader as sam-nano has."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tiny = tiny_network(tokenizer, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SamNetwork(replace(tiny.config, reads_tags=True))
    network.load_state_dict({**network.state_dict(), **tiny.state_dict()})
    words = tokenizer.save(folder.parent / f"{folder.name}.tokenizer.json")
    save_module(folder, network, network.config, tokenizer=words)
    (folder / "labels.json").write_text(json.dumps(list(LABELS)))
    return folder


def sound(kind: str, number: int, seconds: float = 1.0) -> np.ndarray:
    """`warble`: a tone that sways; `hiss`: noise in bursts. No two numbers sound the same."""
    rng = np.random.default_rng((len(kind), number))
    time = np.arange(round(seconds * RATE)) / RATE
    if kind == "warble":
        wave = np.sin(2 * np.pi * (rng.uniform(600, 900) * time + 4 * np.sin(2 * np.pi * rng.uniform(4, 7) * time)))
    else:
        wave = rng.standard_normal(len(time)) * (np.sin(2 * np.pi * rng.uniform(2, 4) * time) > 0)
    return (0.15 * wave + 0.001 * rng.standard_normal(len(time))).astype(np.float32)


def write_sound(path: Path, kind: str, number: int, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(kind, number, seconds), RATE)
    return path


def write_sounds(folder: Path, each: int = 6) -> Path:
    """A folder for each label."""
    for kind in ("warble", "hiss"):
        for number in range(each):
            write_sound(folder / kind / f"{kind} {'abcdefghijkl'[number]}.wav", kind, number)
    return folder
