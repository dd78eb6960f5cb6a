"""MOHAWK (arXiv 2408.10189): a transformer becomes a Mamba-2 in three stages.

    matrices   each mixer's matrix comes near that of the attention in its place; both read what the teacher has there
    hidden     each block's output comes near the teacher's, from the same input; the mixers learn, the MLPs stay
    whole      all of the student learns to say what the teacher says, token by token

The paper gives the stages 80, 160 and 2760 of three billion tokens. How well teacher and student foretell text that was
held out, their perplexity, is kept beside the state of the training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm.language.phi import PhiLanguageModel
from samcli.training.loop import STATE, Report, Trainer
from samcli.training.mohawk.networks import Teacher, beginner
from samcli.training.mohawk.passages import Passages
from samcli.training.optimiser import Pace
from samcli.training.stage import LoopOptions, Outcome, Stage
from samcli.training.team import Team
from samcli.writers.disk import own_file
from samcli.writers.files import write_whole

STAGES = ("matrices", "hidden", "whole")
SHARES = (1.0, 1.0, 1 / 3)  # of the learning rate: what the teacher knew is not to be shaken
AT_ONCE = 8  # windows that are judged at once
FITTED = 4  # windows, on which the beginning is fitted
SHAPE: Literal["cosine"] = "cosine"
BETAS = (0.9, 0.95)
MIXING = (".mixer.in_proj.", ".mixer.conv1d.", ".mixer.D")


@dataclass(frozen=True)
class MohawkRecipe:
    steps: tuple[int, int, int] = (200, 400, 2400)
    length: int = 256  # tokens of a window
    rate: float = 1e-4  # for a teacher that has read much; a small, young one bears ten times as much
    warm_up: int = 20
    judged: int = 64  # windows held out, on which the perplexities are measured
    loop: LoopOptions = field(default_factory=lambda: LoopOptions(batch=8))

    def tokens(self, stages: int = len(STAGES)) -> int:
        """Read in the first so many stages."""
        return sum(self.steps[:stages]) * self.loop.batch * self.length


def stages(teacher: Teacher, student: PhiLanguageModel, passages: Passages, recipe: MohawkRecipe) -> list[Stage]:
    tasks: tuple[type[Matrices | Hidden | Whole], ...] = (Matrices, Hidden, Whole)
    paces = [Pace(recipe.rate * share, recipe.warm_up, SHAPE, BETAS) for share in SHARES]
    return [
        Stage(name, steps, partial(task, teacher, student, passages), pace, task.learns)
        for name, task, steps, pace in zip(STAGES, tasks, recipe.steps, paces, strict=True)
    ]


def mohawk(
    teacher: Teacher,
    passages: Passages,
    folder: Path,
    recipe: MohawkRecipe,
    team: Team,
    report: Report = lambda line: None,
) -> tuple[PhiLanguageModel, dict[str, float], bool]:
    """The student, the perplexities on the way, and whether the training came to its end; its state is in `folder`."""
    few = torch.stack([passages.learned(place) for place in range(FITTED)]).to(team.device)
    student = beginner(teacher, few)
    student.train()
    judge = Judge(folder / "perplexity.json", passages.held_out(recipe.judged).to(team.device))
    ends = {sum(recipe.steps[: number + 1]): name for number, name in enumerate(STAGES) if recipe.steps[number]}

    def and_judge(line: dict[str, Any]) -> None:
        report(line)
        if line["step"] in ends:
            judge.note(ends[line["step"]], student)

    trainer = Trainer(student, stages(teacher, student, passages, recipe), folder / STATE, recipe.loop, team)
    if team.leads:
        if "teacher" not in judge.found:
            judge.note("teacher", teacher)
        if trainer.step == 0:
            judge.note("beginning", student)
    finished = trainer.run(and_judge)
    student.eval()
    return student, judge.found, finished


def in_words(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())


def card(teacher: str, recipe: MohawkRecipe, found: dict[str, float]) -> str:
    """The README of the model's folder."""
    steps = ", ".join(f"{count} of {name}" for name, count in zip(STAGES, recipe.steps, strict=True))
    return (
        "# A Mamba-2 that was a transformer\n\n"
        f"Made of {teacher} by `sam train mohawk` (arXiv 2408.10189): {steps} steps, {recipe.tokens()} tokens of text. "
        f"Perplexity of held-out text: {in_words(found)}.\n"
    )


@torch.no_grad()
def perplexity(model: PhiLanguageModel, windows: Tensor) -> float:
    """Of every token of (windows, length) but the first of each."""
    nats = 0.0
    for part in torch.split(windows, AT_ONCE):
        logits = model(part)[0][:, :-1].float()
        nats += float(F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum"))
    return math.exp(min(80.0, nats / max(1, windows[:, 1:].numel())))


class Judge:
    """Perplexities by name; those that a resumed training passes over are on disk."""

    def __init__(self, path: Path, windows: Tensor) -> None:
        self.path, self.windows = path, windows
        self.found: dict[str, float] = {}
        if path.exists():
            with own_file(path, own=2) as file:
                self.found = json.load(file)

    def note(self, name: str, model: PhiLanguageModel) -> None:
        self.found[name] = round(perplexity(model, self.windows), 4)
        write_whole(self.path, json.dumps(self.found, indent=2).encode(), own=2)


class Reading:
    """Windows of the text; what is learned from them is another matter in each stage."""

    def __init__(self, teacher: Teacher, student: PhiLanguageModel, passages: Passages) -> None:
        self.teacher, self.student, self.passages = teacher, student, passages

    def __getstate__(self) -> dict[str, object]:
        return {"passages": self.passages}  # workers only read

    def batch(self, places: Sequence[int]) -> Tensor:
        return torch.stack([self.passages.learned(place) for place in places])


class Matrices(Reading):
    """Frobenius norms of what is between the two matrices of a head."""

    @staticmethod
    def learns(name: str) -> bool:
        return any(part in name for part in MIXING)

    def outcome(self, batch: Tensor) -> Outcome:
        with torch.no_grad():
            streams = self.teacher.streams(batch)
        losses = []
        for theirs, ours, x in zip(self.teacher.backbone.layers, self.student.backbone.layers, streams, strict=False):
            with torch.no_grad():
                h = theirs.input_layernorm(x)  # type: ignore[operator]
                wanted = theirs.mixer.transfer_matrix(h)  # type: ignore[operator, union-attr]
            apart = wanted - ours.mixer.transfer_matrix(h)  # type: ignore[operator, union-attr]
            losses.append(torch.linalg.matrix_norm(apart).mean(1))  # (batch,) of Frobenius norms
        return _outcome(torch.stack(losses).mean(0), 1)


class Hidden(Reading):
    """Norms of what is between the outputs of two blocks."""

    @staticmethod
    def learns(name: str) -> bool:
        return ".mixer." in name

    def outcome(self, batch: Tensor) -> Outcome:
        with torch.no_grad():
            streams = self.teacher.streams(batch)
        blocks = zip(self.student.backbone.layers, pairwise(streams), strict=True)
        losses = [torch.linalg.vector_norm(layer(x)[0] - wanted, dim=-1).mean(1) for layer, (x, wanted) in blocks]
        return _outcome(torch.stack(losses).mean(0), 1)


class Whole(Reading):
    """Divergence of what the student says from what the teacher says, in nats a token."""

    @staticmethod
    def learns(name: str) -> bool:
        return True

    def outcome(self, batch: Tensor) -> Outcome:
        with torch.no_grad():
            wanted = self.teacher(batch)[0].float().log_softmax(-1)
        said = self.student(batch)[0].float().log_softmax(-1)
        apart = F.kl_div(said, wanted, log_target=True, reduction="none").sum(-1)  # (batch, length), nats
        return _outcome(apart.sum(1), batch.shape[1])


def _outcome(losses: Tensor, each: int) -> Outcome:
    """Of one loss per window, a sum over `each`."""
    total = losses.sum()
    return Outcome(
        total, torch.tensor(float(len(losses) * each), device=losses.device), {"loss": total.detach()}, len(losses)
    )
