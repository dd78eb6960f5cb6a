"""SSAMBA's pre-training (arXiv 2405.11831): an encoder learns from sound alone, without any label.

Most patches of a spectrogram are hidden, and a bidirectional Mamba predicts each from the others: which of the hidden
ones it is (InfoNCE) and what it holds (mean squared error, ten times over). As published, hidden patches lie in small
squares. One thing differs: a sound shorter than the window is repeated until it fills it, where the authors append
zeros; hidden zeros teach nothing, and most collections are short sounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samcli.models.encoders import ssamba
from samcli.models.encoders.ssamba import Ssamba, SsambaConfig
from samcli.training.frames import FrameStore
from samcli.training.loop import STATE, Report, Trainer
from samcli.training.optimiser import Pace
from samcli.training.stage import LoopOptions, Outcome, Shuffled, Stage, generator
from samcli.training.team import Team

# `nano` learns on a laptop's processor; the others are the paper's.
SIZES = {
    "nano": replace(ssamba.BASE, width=64, layers=4, d_state=4),
    **{name.removeprefix("ssamba-"): config for name, config in ssamba.SIZES.items()},
}
PACE = Pace(rate=1e-4, warm_up=1000, shape="cosine", betas=(0.95, 0.999), weight_decay=5e-7)
SMALLEST_SQUARE, LARGEST_SQUARE = 3, 5  # sides of the hidden squares, in patches


@dataclass(frozen=True)
class PretrainRecipe:
    """The published choices are the defaults."""

    encoder: SsambaConfig = ssamba.BASE
    hidden: float = 400 / 512  # share of the patches
    steps: int = 0  # 0: as many as the epochs ask for
    epochs: float = 10.0  # over every window of the recordings
    pace: Pace = PACE
    loop: LoopOptions = field(default_factory=lambda: LoopOptions(batch=64))

    def length(self, windows: int) -> int:
        """Steps of the whole training."""
        return self.steps or max(1, round(self.epochs * windows / self.loop.batch))


def sized(size: str, seconds: float) -> SsambaConfig:
    """The encoder of that size for windows of about that length, a whole number of patches."""
    config = SIZES[size]
    steps = max(2, round(seconds * 100 / config.patch))
    return replace(config, table_steps=steps, window_frames=steps * config.patch)


class Windows(NamedTuple):
    frames: Tensor  # (batch, frames, mel bins), normalised
    hidden: Tensor  # (batch, hidden patches): their numbers


class PretrainTask:
    """The task: windows of the recordings, most of their patches hidden."""

    def __init__(self, network: Ssamba, store: FrameStore, recipe: PretrainRecipe) -> None:
        config = network.config
        self.network, self.store, self.seed = network, store, recipe.loop.seed
        self.window = config.window_frames
        self.grid = (network.bands, network.steps(self.window))
        self.hidden = max(1, round(recipe.hidden * self.grid[0] * self.grid[1]))
        self.mean, self.scale = config.mel_mean, config.mel_scale
        counts = [max(1, length // self.window) for length in store.lengths]  # windows of each recording
        self._ends = np.cumsum(counts)
        self.order = Shuffled(int(self._ends[-1]), self.seed)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "network"}  # workers only read

    def batch(self, places: Sequence[int]) -> Windows:
        windows = [self.example(place) for place in places]
        frames = torch.from_numpy(np.stack([frames for frames, _ in windows]))
        return Windows(frames, torch.from_numpy(np.stack([hidden for _, hidden in windows])))

    def example(self, place: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        rng = generator(self.seed, place)
        number = int(np.searchsorted(self._ends, self.order[place], side="right"))
        frames = self.store[number]
        start = int(rng.integers(0, max(1, len(frames) - self.window + 1)))
        if len(frames) >= self.window:
            frames = frames[start : start + self.window]
        else:
            frames = frames[(np.arange(self.window) + start) % len(frames)]
        normal = (frames.astype(np.float32) - self.mean) / self.scale
        return normal.astype(np.float32), hide(rng, self.grid, self.hidden)

    def outcome(self, batch: Windows) -> Outcome:
        loss = self.network.pretrain(batch.frames, batch.hidden)
        rows = len(batch.frames)
        parts = {"loss": loss.joint, "nce": loss.nce, "mse": loss.mse, "nce accuracy": loss.nce_accuracy}
        sums = {name: value.detach() * float(rows) for name, value in parts.items()}
        return Outcome(loss.joint * rows, torch.tensor(float(rows)), sums, rows)


def hide(rng: np.random.Generator, grid: tuple[int, int], count: int) -> NDArray[np.int64]:
    """Numbers of `count` patches (frequency-major) in squares at random places."""
    bands, steps = grid
    chosen = np.zeros((bands, steps), bool)
    while (held := int(chosen.sum())) < count:
        side = int(rng.integers(SMALLEST_SQUARE, LARGEST_SQUARE + 1))
        band, step = int(rng.integers(bands)), int(rng.integers(steps))
        square = np.zeros_like(chosen)
        square[band : band + side, step : step + side] = True
        fresh = np.flatnonzero(square & ~chosen)
        chosen.flat[rng.permutation(fresh)[: count - held]] = True
    return np.flatnonzero(chosen)


def pretrain(
    store: FrameStore, folder: Path, recipe: PretrainRecipe, team: Team, report: Report = lambda line: None
) -> tuple[Ssamba, bool]:
    """The encoder, and whether the training came to its end; its state is kept in `folder`."""
    network = fresh(recipe).to(team.device)
    task = PretrainTask(network, store, recipe)
    stage = Stage("pretrain", recipe.length(len(task.order)), lambda: task, recipe.pace)
    finished = Trainer(network, [stage], folder / STATE, recipe.loop, team).run(report)
    return network.eval(), finished


def fresh(recipe: PretrainRecipe) -> Ssamba:
    """The encoder before it has heard anything."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.loop.seed)
        return Ssamba(recipe.encoder)


def card(recipe: PretrainRecipe, store: FrameStore) -> str:
    """The README of the model's folder."""
    encoder = recipe.encoder
    return (
        "# A pre-trained encoder\n\n"
        f"SSAMBA (arXiv 2405.11831), {encoder.layers} layers of width {encoder.width}, taught by `sam train pretrain` "
        f"on {len(store)} recordings ({store.seconds / 3600:.2f} hours) without labels. It makes features and has no "
        "tag head: `sam train align --encoder`, `sam train distill --student` and `sam embed` take it.\n"
    )
