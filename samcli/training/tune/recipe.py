"""Teaching a trained model a person's own sounds: `sam train tune`.

    head   only the rows of the tag head for the taught names, on what the encoder hears anyway; seconds
    lora   the same, and low-rank updates of the encoder's projections (of the language model's too, for words)
    dora   the same with DoRA
    full   every weight, but for the rows of names that are not taught; a whole model comes out

The rows come first, on frozen features, whatever the method: an encoder that learns under rows which know nothing yet
bends for nothing, and forgets (arXiv 2202.10054).

OUT holds the best model so far as soon as there is one, every file of it written aside and renamed; OUT/training holds
what a stopped run needs to go on, and goes when the run is finished.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

from samcli.audio.front_end import FrontEnd
from samcli.engine.inputs.find import find_inputs
from samcli.errors import InputError, UsageError
from samcli.models.encoders.base import Encoder
from samcli.models.interface import Encoding
from samcli.models.tuned import encoder_of, vocabulary
from samcli.training.folder import ModelFolder
from samcli.training.loop import Report, Trainer
from samcli.training.optimiser import Plateau
from samcli.training.stage import LoopOptions, Outcome, Stage
from samcli.training.tune.base import Base, Classes, TuneRecipe, cache_features, label_parameters, prepare, tune_losses
from samcli.training.tune.batches import CachedFeatures, Mel, TuneBatch, TuneBatches, features_of
from samcli.training.tune.examine import Examined, decoded
from samcli.training.tune.folder import BestModelWriter
from samcli.training.tune.judge import Judged, judge
from samcli.training.tune.recordings import Recording

TUNE_LOOP = LoopOptions(bfloat16=True, average=0.98, save_every_seconds=60.0, seed=-1)
JUDGEMENTS = 15  # in a run, about
FIRST_STEPS = 200  # of the rows alone; they cost next to nothing
OTHERS, JUDGED_OTHERS = 200, 40  # sounds that have none of the names: heard at most, and held out of these
MOST_CACHED = 400  # batches of features; beyond, they are computed as they come


@dataclass(frozen=True)
class Tuned:
    """What came of a run."""

    steps: int
    seconds: float
    before: dict[str, float]  # what was judged before the first step
    best: dict[str, float]
    best_step: int
    figure: str  # the name of what was judged: accuracy, mAP or validation words; empty: nothing was


def tune(
    data: Examined,
    sounds: dict[str, Mel],
    base: Base,
    out: Path,
    recipe: TuneRecipe,
    loop: LoopOptions = TUNE_LOOP,
    report: Report = lambda line: None,
    note: Callable[[str], None] = lambda text: None,
    others: Sequence[Mel] = (),
) -> Tuned:
    """Teach, or go on teaching what OUT/training holds; the best model is in OUT. `others`: none of the names."""
    learners, held = data.split("train"), data.split("validation")
    taught = [count.label for count in data.labels if count.train]
    words = base.speaks and recipe.method != "head" and any(r.captions or r.questions for r in learners)
    if not taught and not words:
        raise UsageError(f"The method {recipe.method} on {base.name} learns nothing from these columns.")
    names = vocabulary(base.piece.labels, taught)
    before = copy.deepcopy(base.piece.module)
    network, config = prepare(base, recipe, taught, words)
    for one in (network, before):
        encoder_of(one).lay_out()
    kept = None if recipe.method == "head" else encoder_of(before).eval().requires_grad_(False)
    classes = Classes(tuple(names.index(name) for name in taught), len(names), one_each(learners) and len(taught) > 1)

    window = float(getattr(network.config, "window_seconds", 10.0))
    held_others = list(others[:: OTHERS // JUDGED_OTHERS])
    train_others = [mel for number, mel in enumerate(others) if number % (OTHERS // JUDGED_OTHERS)]
    make = dataclasses.replace(recipe.batches, seed=recipe.seed, window_seconds=window)
    tokenizer = base.tokenizer if words else None
    front_end = encoder_of(network).front_end
    batches = TuneBatches(learners, sounds, taught, make, tokenizer, train_others, front_end)
    task = TuneTask(network, kept, batches, classes, recipe)

    state = ModelFolder(out).state
    epoch, steps = recipe.epoch(len(learners)), recipe.steps(len(learners))
    stage = Stage("tune", steps, lambda: task, pace_of(recipe, steps), prepare=eval_mode)
    loop = dataclasses.replace(
        loop, report_every=max(1, min(10, steps // 30)), judge_every=max(1, epoch, steps // JUDGEMENTS)
    )
    trainer = Trainer(network, [stage], state / "last.pt", loop)
    trainer.stages = [dataclasses.replace(stage, steps=int(trainer.notes.get("steps", steps)))]
    first, began = trainer.step, time.monotonic()
    writer = BestModelWriter(base, out, recipe, config, names, taught, data)

    def judged(now: nn.Module) -> dict[str, float]:
        found = judge(now, held, sounds, taught, classes, tokenizer, window, held_others)
        figures = found.figures if found else {}
        if trainer.step == 0:
            trainer.notes["before"] = figures
            return figures
        best = trainer.notes.get("best")
        if best is None or not held or Judged(figures).beats(Judged(best)):
            trainer.notes |= {"best": figures, "best_step": trainer.step}
            writer.keep(now, figures, trainer.step)
        if recipe.minutes is not None:  # machines are not always as fast as they were
            left = recipe.minutes * 60 - trainer.seconds
            each = (time.monotonic() - began) / max(1, trainer.step - first)
            plan(trainer, trainer.step + max(0, int(left / each)))
        return figures

    if trainer.step == 0:
        trainer.notes["steps"] = steps
        trainer.judge(judged, report)
    if taught and encoder_of(network).judges_features:
        count = min(max(48, 2 * epoch), MOST_CACHED)
        if recipe.method == "head" and count < MOST_CACHED:
            note("hearing every recording through the encoder")
            task.batches = cache_features(network, batches, count, loop.bfloat16)
        elif recipe.method != "head" and trainer.step == 0:
            note("teaching the head first")
            heard = cache_features(network, batches, min(count, FIRST_STEPS // 8), loop.bfloat16)
            train_rows(network, heard, classes, recipe, state / "rows")
    if trainer.step == 0:
        trainer.average.begin(network)
        if recipe.minutes is not None:
            each = trainer.seconds_of_a_step(task)
            plan(trainer, max(1, int((recipe.minutes * 60 - trainer.seconds) / each)))
    began = time.monotonic()
    trainer.run(report, judged)
    return finish(trainer, out)


def train_rows(network: nn.Module, heard: CachedFeatures, classes: Classes, recipe: TuneRecipe, folder: Path) -> None:
    """The taught rows alone, before the first step of the rest."""
    tags = CachedFeatures([dataclasses.replace(batch, words=None) for batch in heard.batches])
    task = TuneTask(network, None, tags, classes, recipe)
    pace = TunePace(rows_rate=recipe.head_rate, rows_alone=True, warm_up=10, clip_norm=math.inf)
    stage = Stage("rows", FIRST_STEPS, lambda: task, pace, prepare=eval_mode)
    Trainer(network, [stage], folder / "last.pt", LoopOptions(report_every=FIRST_STEPS, seed=-1)).run()


def eval_mode(network: nn.Module) -> None:
    """Batch norms keep to what they saw of many sounds: a few would mislead them."""
    network.eval()


def plan(trainer: Trainer, steps: int) -> None:
    """Another length for the run."""
    trainer.notes["steps"] = steps
    trainer.stages = [dataclasses.replace(trainer.stages[0], steps=steps)]
    trainer.options = dataclasses.replace(trainer.options, judge_every=max(1, steps // JUDGEMENTS))


def read_others(folder: Path, seed: int, front_end: FrontEnd) -> list[Mel]:
    """Sounds that have none of the names, of each the first ten seconds; which ones, the seed decides."""
    inputs = find_inputs([folder])
    found: list[Mel] = []
    for item in Random(seed).sample(inputs, len(inputs)):
        if len(found) == OTHERS:
            break
        try:
            wave, _ = decoded(Path(item.path), front_end.sample_rate)
        except InputError:
            continue
        found.append(features_of(wave[: round(10 * front_end.sample_rate)], front_end))
    return found


def one_each(recordings: Sequence[Recording]) -> bool:
    return all(len(recording.labels) == 1 for recording in recordings)


def finish(trainer: Trainer, out: Path) -> Tuned:
    """The log beside the model; what a stopped run would need goes."""
    notes, seconds = trainer.notes, trainer.seconds
    if trainer.log.exists():
        trainer.log.replace(out / trainer.log.name)
    best = notes.get("best", {})
    figure = next((name for name in ("accuracy", "mAP", "validation words") if name in best), "")
    shutil.rmtree(trainer.path.parent, ignore_errors=True)
    best_step = int(notes.get("best_step", trainer.step))
    return Tuned(trainer.step, seconds, notes.get("before", {}), best, best_step, figure)


class TuneTask:
    """A step is one batch; `before` is the encoder whose other names are kept, None where nothing can be lost."""

    def __init__(
        self,
        network: Any,
        before: Encoder | None,
        batches: TuneBatches | CachedFeatures,
        classes: Classes,
        recipe: TuneRecipe,
    ) -> None:
        self.network, self.before, self.batches, self.classes, self.recipe = network, before, batches, classes, recipe

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"network": None, "before": None}  # workers only read

    def batch(self, places: Sequence[int]) -> TuneBatch:
        (number,) = places
        return self.batches.batch(number)

    def outcome(self, batch: TuneBatch) -> Outcome:
        encoder = encoder_of(self.network)
        cached = self.before is None and batch.mel.shape[-1] == encoder.width and batch.mel.dtype == torch.float16
        encoding = judge_features(encoder, batch) if cached else encoder(batch.mel)
        before = None
        if self.before is not None:
            with torch.no_grad():
                before = self.before(batch.mel)
        total, parts = tune_losses(self.network, encoding, before, batch, self.classes, self.recipe.weights)
        return Outcome(total, torch.ones(()), parts, len(batch.mel))


def judge_features(encoder: Encoder, batch: TuneBatch) -> Encoding:
    """What the head says of cached features."""
    return encoder.judge(batch.mel.float(), None if batch.pooled is None else batch.pooled.float())


@dataclass(frozen=True)
class TunePace(Plateau):
    """The rows of the taught names learn at a rate of their own."""

    decay_share: float = 0.5
    rows_rate: float = 0.0
    rows_alone: bool = False

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.groups(network), betas=self.betas)

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        taught = label_parameters(network)
        own = {id(parameter) for parameter in taught}
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        rows = [parameter for parameter in learning if id(parameter) in own]
        rest = [] if self.rows_alone else [parameter for parameter in learning if id(parameter) not in own]
        groups: list[dict[str, Any]] = [
            {"params": rows, "weight_decay": 0.0, "lr": self.rows_rate},
            {"params": rest, "weight_decay": 0.01, "lr": self.rate},
        ]
        return [group for group in groups if group["params"]]


def pace_of(recipe: TuneRecipe, steps: int) -> TunePace:
    alone = recipe.method == "head"
    return TunePace(
        rate=recipe.full_rate if recipe.method == "full" else recipe.rate,
        rows_rate=recipe.head_rate * (1.0 if alone else recipe.rows_share),
        warm_up=max(1, min(30, steps // 10)),
    )
