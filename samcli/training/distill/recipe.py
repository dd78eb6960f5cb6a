"""DASS's distillation (arXiv 2407.04082): a tagger teaches a state-space student what it hears in every ten seconds.

Half of the loss is binary cross-entropy against what is known of the sound - labels where there are some, joined with
the teacher's opinion - and half is the divergence of the student's softmax from the teacher's. Sounds are mixed in
pairs, and bands and stretches are masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from samcli.audio.front_end import FrontEnd
from samcli.errors import ModelError, UsageError
from samcli.models.encoders.base import Encoder
from samcli.models.encoders.registry import SIZES, build_encoder
from samcli.models.encoders.ssamba import SsambaConfig
from samcli.models.sam import SamNetwork
from samcli.training.distill.teacher import (
    WINDOW,
    Probabilities,
    TeacherLabels,
    rarity,
    read_all,
    window_frames,
    windows_of,
)
from samcli.training.frames import FrameStore
from samcli.training.loop import STATE, Report, Trainer
from samcli.training.optimiser import Pace
from samcli.training.stage import LoopOptions, Outcome, Stage, Weighted, generator
from samcli.training.team import Team

LEAST_PROBABILITY = (0.5 / 255) ** 2  # what a score of zero may have been

PACE = Pace(rate=1e-4, warm_up=1000, shape="cosine", betas=(0.95, 0.999), weight_decay=5e-7)
FRESH_NANO_RATE = 1e-3


@dataclass(frozen=True)
class DistillRecipe:
    """The published choices are the defaults."""

    divergence: float = 0.5  # share of the teacher's softmax in the loss
    mix: float = 0.5  # chance that a sound is mixed with another
    bands: int = 48  # of 128, masked at most
    frames: int = 192  # of 1000, masked at most
    balanced: bool = True  # windows of rare sounds are drawn more often
    steps: int = 0  # 0: as many as the epochs ask for
    epochs: float = 5.0
    pace: Pace = PACE
    loop: LoopOptions = field(default_factory=lambda: LoopOptions(batch=12, average=0.999))

    def length(self, windows: int) -> int:
        """Steps of the whole training."""
        return self.steps or max(1, round(self.epochs * windows / self.loop.batch))


class DistillBatch(NamedTuple):
    mel: Tensor  # (batch, frames, bands) as the student reads them
    frames: Tensor  # (batch,) valid ones
    target: Tensor  # (batch, classes): what is known
    teacher: Tensor  # (batch, classes): the teacher's probabilities


class DistillTask:
    """The task: windows mixed in pairs and masked, with what the teacher says."""

    def __init__(
        self, network: Encoder, store: FrameStore, teacher: TeacherLabels, known: dict[int, Probabilities],
        recipe: DistillRecipe,
    ) -> None:  # fmt: skip
        self.front_end = network.front_end
        self.network, self.store, self.teacher, self.known, self.recipe = network, store, teacher, known, recipe
        self.windows = windows_of(store)
        self.order = Weighted(rarity(teacher.scores) if recipe.balanced else np.ones(len(self.windows)),
                              recipe.loop.seed)  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "network"}  # workers only read

    def batch(self, places: Sequence[int]) -> DistillBatch:
        examples = [self.example(place) for place in places]
        mels, targets, taught = zip(*examples, strict=True)
        return DistillBatch(
            read_all(self.front_end, mels),
            torch.tensor([len(mel) for mel in mels]),
            torch.from_numpy(np.stack(targets)),
            torch.from_numpy(np.stack(taught)),
        )

    def example(self, place: int) -> tuple[NDArray[np.float32], Probabilities, Probabilities]:
        rng = generator(self.recipe.loop.seed, place)
        window = self.order[place]
        mel, target, taught = self._window(window)
        if rng.random() < self.recipe.mix:
            other, other_target, other_taught = self._window(int(rng.integers(len(self.windows))))
            share = float(rng.beta(10, 10))
            mel = mixed(mel, other, share)
            target = share * target + (1 - share) * other_target
            taught = share * taught + (1 - share) * other_taught
        mask(mel, rng, self.recipe.bands, self.recipe.frames)
        return mel, target.astype(np.float32), taught.astype(np.float32)

    def _window(self, window: int) -> tuple[NDArray[np.float32], Probabilities, Probabilities]:
        taught = self.teacher.of(window)
        return window_frames(self.store, *self.windows[window]), self.known.get(window, taught), taught

    def outcome(self, batch: DistillBatch) -> Outcome:
        logits = self.network(batch.mel, batch.frames).clip_logits.float()
        known = F.binary_cross_entropy_with_logits(logits, batch.target, reduction="none").mean(1).sum()
        teacher = torch.logit(batch.teacher.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
        apart = F.kl_div(
            logits.log_softmax(1), teacher.log_softmax(1), reduction="sum", log_target=True
        )  # over the classes as if one of them must be right, as published
        total = (1 - self.recipe.divergence) * known + self.recipe.divergence * apart
        parts = {"loss": total.detach(), "cross-entropy": known.detach(), "divergence": apart.detach()}
        return Outcome(total, torch.tensor(float(len(logits))), parts, len(logits))


def mixed(one: NDArray[np.float32], other: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Two sounds at once, as log energies: amplitudes are shared, so powers are by the squares."""
    power = np.zeros((max(len(one), len(other)), one.shape[1]), np.float32)
    power[: len(one)] += np.exp(one) * np.float32(share**2)
    power[: len(other)] += np.exp(other) * np.float32((1 - share) ** 2)
    return np.asarray(np.log(power + np.float32(1.2e-7)), np.float32)


def mask(mel: NDArray[np.float32], rng: np.random.Generator, bands: int, frames: int) -> None:
    """Hide some neighbouring bands and a stretch behind the window's mean, in place."""
    mean = mel.mean()
    width = int(rng.integers(0, bands + 1))
    start = int(rng.integers(0, mel.shape[1] - width + 1))
    mel[:, start : start + width] = mean
    width = int(rng.integers(0, min(frames, len(mel) * frames // WINDOW) + 1))
    start = int(rng.integers(0, len(mel) - width + 1))
    mel[start : start + width] = mean


def distill(
    network: Encoder,
    store: FrameStore,
    teacher: TeacherLabels,
    known: dict[int, Probabilities],
    folder: Path,
    recipe: DistillRecipe,
    team: Team,
    report: Report = lambda line: None,
) -> bool:
    """Teach the student in place; whether the training came to its end. Its state is kept in `folder`."""
    if network.front_end.name != store.front_end:
        raise ModelError(f"This student reads other frames ({network.front_end.name}) than were made of the sound.")
    network.to(team.device).requires_grad_(True)
    task = DistillTask(network, store, teacher, known, recipe)
    stage = Stage("distill", recipe.length(len(task.windows)), lambda: task, recipe.pace)
    trainer = Trainer(network, [stage], folder / STATE, recipe.loop, team)
    finished = trainer.run(report)
    if finished:
        trainer.average.give(network)
    network.eval()
    return finished


def front_end_of(student: str) -> FrontEnd:
    """What a student reads."""
    return make_student(student, 1, 0)[0].front_end


def make_student(name: str, classes: int, seed: int) -> tuple[Encoder, str]:
    """A student for so many classes, and the revision of the weights it begins with ("" for random ones)."""
    from samcli.checkpoints.loading import folder_revision
    from samcli.checkpoints.modules import load_folder

    start: dict[str, Tensor] = {}
    if name in SIZES:
        config, revision = SIZES[name], ""
    else:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise UsageError(f"There is no student {name!r}: choose {', '.join(SIZES)}, or a model's folder.")
        piece = load_folder(folder, dtype=torch.float32)
        module = piece.module.encoder if isinstance(piece.module, SamNetwork) else piece.module
        if not isinstance(module, Encoder):
            raise ModelError(f"{name} hears nothing, so it cannot learn to tag.")
        config, revision, start = module.config, folder_revision(folder), module.state_dict()
    config = replace(config, classes=classes)
    if isinstance(config, SsambaConfig):
        config = replace(config, pretraining=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = build_encoder(config)
    own = student.state_dict()
    same = {key: value for key, value in start.items() if key in own and own[key].shape == value.shape}
    student.load_state_dict({**own, **same})
    return student, revision


def card(student: str, teacher: str, store: FrameStore) -> str:
    """The README of the model's folder."""
    return (
        "# A distilled tagger\n\n"
        f"{student}, taught by {teacher} with `sam train distill` (DASS, arXiv 2407.04082) on {len(store)} recordings "
        f"({store.seconds / 3600:.2f} hours). `sam tag --model` takes it.\n"
    )
