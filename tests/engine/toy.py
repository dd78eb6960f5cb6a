"""A model small enough to reason about: every token hears a tenth of a second and nothing else.

Only the carried state reaches across windows, so whatever the engine does to windows shows, and nothing else can. What
it says is its state, number by number: a difference too small to change a word still shows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from samcli.errors import ModelError
from samcli.models.interface import Encoding, SpeakOptions

STEP = 1600
# The last one is nobody's label, so that its language model speaks: sentences are composed of AudioSet's labels alone.
LABELS = ("Speech", "Music", "Dog", "Bark", "Siren", "Rain", "Bird", "Vehicle", "Water", "Silence", "Wind", "Bell toy")
WIDTH = 8


class Toy:
    name = "toy"
    revision = "1"
    tasks = frozenset({"tag", "caption", "ask"})
    sample_rate = 16_000
    window_seconds = 10.0
    step_seconds: float | None = 0.1
    labels = LABELS
    thresholds = step_thresholds = (0.5,) * len(LABELS)
    calibrated = False

    def __init__(self) -> None:
        chance = torch.Generator().manual_seed(5)
        self.mix = torch.randn(WIDTH, WIDTH, generator=chance)
        self.head = torch.randn(WIDTH, len(LABELS), generator=chance)
        self.decay = torch.rand(WIDTH, generator=chance) * 0.5 + 0.5

    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        waves = torch.where(torch.arange(waves.shape[1]) < lengths[:, None], waves, 0)
        frames = torch.nn.functional.pad(waves, (0, -waves.shape[1] % STEP)).unflatten(1, (-1, STEP))
        energy = frames.unflatten(2, (WIDTH, -1)).square().mean(-1).add(1e-4).log()  # (batch, tokens, WIDTH)
        features = torch.tanh((energy + 5) @ self.mix / 4)
        tokens = -(-lengths // STEP)
        steps = features @ self.head
        valid = torch.arange(features.shape[1]) < tokens[:, None]
        clip = torch.where(valid[..., None], steps, 0).sum(1) / tokens[:, None]
        return Encoding(features, tokens, clip, steps)

    def listen(self, encoding: Encoding, state: Tensor | None) -> Tensor:
        state = torch.zeros(len(encoding.features), WIDTH) if state is None else state
        for step in range(encoding.features.shape[1]):
            heard = state * self.decay + encoding.features[:, step]
            state = torch.where((step < encoding.lengths)[:, None], heard, state)
        return state

    def speak(self, state: Tensor, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        asked = [float(sum(prompt.encode())) for prompt in prompts]
        return [" ".join(map(str, [code, *row])) for code, row in zip(asked, state.tolist(), strict=True)]

    def bears(self, state: Tensor) -> list[bool]:
        return [True] * len(state)

    def select(self, state: Tensor, rows: Sequence[int]) -> Tensor:
        return state[list(rows)]

    def join(self, states: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(states))


class Fragile(Toy):
    """Dies, as by a fault in a native library, of sounds as loud as this."""

    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        if (waves.abs().amax(1) > 0.9).any():
            os._exit(1)
        return super().encode(waves, lengths)


class Deadly(Toy):
    """Dies of any sound."""

    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        os._exit(1)


class Signed(Toy):
    """Leaves its process number in a folder, and takes its time."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        (folder / str(os.getpid())).touch()

    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        time.sleep(0.05)
        return super().encode(waves, lengths)


def no_model() -> Toy:
    raise ModelError("There is no such model.")


def on_device(device: str) -> Toy:
    """No process starts on the second device, and the third is lost with its first sound."""
    if device == "cpu:1":
        os._exit(7)
    return Lost() if device == "cpu:2" else Toy()


class Lost(Toy):
    """On a device that fails for good."""

    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def fragile(device: str) -> Toy:
    return Fragile()


def deadly(device: str) -> Toy:
    return Deadly()


def signed(folder: Path, device: str) -> Toy:
    return Signed(folder)


def missing(device: str) -> Toy:
    return no_model()


def toy_on(device: str) -> Toy:
    return Toy()
