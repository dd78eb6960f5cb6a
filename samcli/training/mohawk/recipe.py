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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm.language.phi import PhiLanguageModel
from samcli.training.loop import STATE, Report, Trainer
from samcli.training.mohawk.passages import Passages
from samcli.training.mohawk.student import beginner
from samcli.training.mohawk.tasks import Hidden, Matrices, Whole
from samcli.training.mohawk.teacher import Teacher
from samcli.training.optimiser import Pace
from samcli.training.stage import LoopOptions, Stage
from samcli.training.team import Team
from samcli.writers.disk import own_file
from samcli.writers.files import write_whole

STAGES = ("matrices", "hidden", "whole")
SHARES = (1.0, 1.0, 1 / 3)  # of the learning rate: what the teacher knew is not to be shaken
AT_ONCE = 8  # windows that are judged at once
FITTED = 4  # windows, on which the beginning is fitted
SHAPE: Literal["cosine"] = "cosine"
BETAS = (0.9, 0.95)


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
