"""Teaching a trained model a person's own sounds: `sam train tune`.

    head   only the rows of the tag head for the taught names, on what the encoder hears anyway; seconds
    lora   the same, and low-rank updates of the encoder's projections (of the language model's too, for words)
    dora   the same with DoRA
    full   every weight, but for the rows of names that are not taught; a whole model comes out

The rows come first, on frozen features, whatever the method: an encoder that learns under rows which know nothing yet
bends for nothing, and forgets (arXiv 2202.10054).

The loop is sam-nano's. OUT holds the best model so far as soon as there is one, every file of it written aside and
renamed; OUT/training holds what a stopped run needs to go on, and goes when the run is finished.
"""

from __future__ import annotations

import copy
import dataclasses
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
from samcli.models.adapters.tuned import encoder_of, vocabulary
from samcli.models.encoders.base import Encoder
from samcli.models.interface import Encoding
from samcli.training.loop import LoopOptions, Report, Trainer
from samcli.training.optimiser import Average, OptimiserOptions, schedule
from samcli.training.tune.base import STATE, Base, TuneRecipe, prepare, remembered, taught_parameters
from samcli.training.tune.batches import Mel, Remembered, TuneBatches, features_of
from samcli.training.tune.examine import Examined, decoded
from samcli.training.tune.folder import Keeper
from samcli.training.tune.judge import Judged, judge
from samcli.training.tune.losses import Classes, tune_losses
from samcli.training.tune.recordings import Recording

JUDGEMENTS = 15  # in a run, about
FIRST_STEPS = 200  # of the rows alone; they cost next to nothing
OTHERS, JUDGED_OTHERS = 200, 40  # sounds that have none of the names: heard at most, and held out of these
MOST_REMEMBERED = 400  # batches of features; beyond, they are computed as they come


@dataclass(frozen=True)
class Tuned:
    """What came of a run."""

    steps: int
    seconds: float
    before: dict[str, float]  # what was judged before the first step
    best: dict[str, float]
    best_step: int
    figure: str  # the name of what was judged: accuracy, mAP or validation words; empty: nothing was


class Tuner(Trainer):
    """sam-nano's loop with another loss, another optimiser, and a judge that keeps the best."""

    def __init__(
        self, network: nn.Module, out: Path, options: LoopOptions, recipe: TuneRecipe, classes: Classes, base: nn.Module
    ) -> None:
        self.recipe, self.classes = recipe, classes
        self.base = None if recipe.method == "head" else encoder_of(base).eval().requires_grad_(False)
        self.began = time.monotonic()
        super().__init__(network, out, options)  # type: ignore[arg-type]
        self.spent = float(self.notes.get("seconds", 0.0))  # by the runs before this one
        self.first_step = self.step
        self.started: float | None = None  # when the first of this run's steps was

    @property
    def seconds(self) -> float:
        return self.spent + time.monotonic() - self.began

    def save(self) -> None:
        self.notes["seconds"] = self.seconds
        super().save()

    def _kept(self, network: nn.Module) -> dict[str, Any]:
        """What learns; the rest is the base's."""
        frozen = {name for name, parameter in self.network.named_parameters() if not parameter.requires_grad}
        return {name: value for name, value in network.state_dict().items() if name not in frozen}

    def _optimiser(self) -> torch.optim.Optimizer:
        recipe = self.recipe
        own = {id(parameter) for parameter in taught_parameters(self.network)}
        rate = recipe.full_rate if recipe.method == "full" else recipe.rate
        groups = []
        rows_rate = recipe.head_rate * (1.0 if recipe.method == "head" else recipe.rows_share)
        for rows, decay, peak in ((True, 0.0, rows_rate), (False, 0.01, rate)):
            chosen = [p for p in self.network.parameters() if p.requires_grad and (id(p) in own) == rows]
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "lr": peak, "peak": peak})
        return torch.optim.AdamW(groups, betas=(0.9, 0.98))

    def _teach(self) -> None:
        # Batch norms keep to what they saw of many sounds: a few would mislead them.
        self.network.eval()
        if self.started is None:
            self.started = time.monotonic()

    def _gradient(self, network: Any, batch: Any) -> dict[str, float]:
        encoder = encoder_of(network)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.autocast):
            remembered = self.base is None and batch.mel.shape[-1] == encoder.width and batch.mel.dtype == torch.float16
            encoding = judged_again(encoder, batch) if remembered else encoder(batch.mel)
            before = None
            if self.base is not None:
                with torch.no_grad():
                    before = self.base(batch.mel)
            total, parts = tune_losses(network, encoding, before, batch, self.classes, self.recipe.weights)
        total.backward()  # type: ignore[no-untyped-call]
        return parts

    def teach_rows(self, batches: Remembered) -> None:
        """The taught rows alone, before the first step of the rest."""
        parameters = [p for p in taught_parameters(self.network) if p.requires_grad]
        options = OptimiserOptions(warm_up=10, decay_share=0.5)
        optimiser = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=0.0)
        encoder = encoder_of(self.network)
        for step, batch in zip(range(FIRST_STEPS), batches, strict=False):
            for group in optimiser.param_groups:
                group["lr"] = self.recipe.head_rate * schedule(step, FIRST_STEPS, options)
            alone = dataclasses.replace(batch, words=None)
            encoding = judged_again(encoder, batch)
            total, _ = tune_losses(self.network, encoding, None, alone, self.classes, self.recipe.weights)
            if total.requires_grad:
                total.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.average = Average(self.network, self.options.optimiser.average)

    def _log(self, line: dict[str, Any], report: Report) -> None:
        line["of"] = self.options.steps
        steps = self.options.steps - self.step
        left = self.clock.left(steps, steps / (self.options.judge_every or steps or 1))
        if left is not None:
            line["left"] = left
        super()._log(line, report)


def judged_again(encoder: Encoder, batch: Any) -> Encoding:
    """What the head says of remembered features."""
    return encoder.judge(batch.mel.float(), None if batch.pooled is None else batch.pooled.float())


def tune(
    data: Examined,
    sounds: dict[str, Mel],
    base: Base,
    out: Path,
    recipe: TuneRecipe,
    loop: LoopOptions | None = None,
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
    known = base.piece.labels
    names = vocabulary(known, taught)
    before = copy.deepcopy(base.piece.module)
    network, config = prepare(base, recipe, taught, words)
    for one in (network, before):
        encoder_of(one).lay_out()
    classes = Classes(tuple(names.index(name) for name in taught), len(names), one_each(learners) and len(taught) > 1)
    epoch = recipe.epoch(len(learners))
    steps = recipe.steps(len(learners))
    options = loop or LoopOptions(worker=False, save_every_seconds=60.0)
    options = dataclasses.replace(
        options,
        steps=steps,
        report_every=max(1, min(10, steps // 30)),
        judge_every=max(1, epoch, steps // JUDGEMENTS),
        optimiser=OptimiserOptions(warm_up=max(1, min(30, steps // 10)), decay_share=0.5, clip_norm=5.0, average=0.98),
    )
    tuner = Tuner(network, out / STATE, options, recipe, classes, before)
    tuner.options = dataclasses.replace(options, steps=int(tuner.notes.get("steps", steps)))
    keeper = Keeper(base, out, recipe, config, names, taught, data)
    judged_others = list(others[:: OTHERS // JUDGED_OTHERS])
    learned_others = [mel for number, mel in enumerate(others) if number % (OTHERS // JUDGED_OTHERS)]
    window = float(getattr(network.config, "window_seconds", 10.0))
    make = dataclasses.replace(recipe.batches, seed=recipe.seed, window_seconds=window)
    front_end = encoder_of(network).front_end
    tokenizer = base.tokenizer if words else None
    batches: Any = TuneBatches(learners, sounds, taught, make, tokenizer, learned_others, front_end)

    def judged(now: nn.Module) -> dict[str, float]:
        found = judge(now, held, sounds, taught, classes, base.tokenizer if words else None, window, judged_others)
        figures = found.figures if found else {}
        if tuner.step == 0:
            tuner.notes["before"] = figures
            return figures
        best = tuner.notes.get("best")
        if best is None or not held or Judged(figures).beats(Judged(best)):
            tuner.notes |= {"best": figures, "best_step": tuner.step}
            keeper.keep(now, figures, tuner.step)
        _plan(tuner, recipe)
        return figures

    if tuner.step == 0:
        tuner.notes |= {"steps": steps}
        began = time.monotonic()
        tuner._log({"step": 0} | judged(network), report)
        tuner.clock.judged(time.monotonic() - began)
    count = min(max(48, 2 * epoch), MOST_REMEMBERED)
    if taught and encoder_of(network).judges_features:
        if recipe.method == "head" and count < MOST_REMEMBERED:
            note("hearing every recording through the encoder")
            batches = remembered(network, batches, count, options.autocast)
        elif recipe.method != "head" and tuner.step == 0:
            note("teaching the head first")
            tuner.teach_rows(remembered(network, batches, min(count, FIRST_STEPS // 8), options.autocast))
    if tuner.step == 0:
        _clock(tuner, recipe, batches)
    tuner.run(batches, judge=judged, report=report)
    return finish(tuner, out)


def hear_others(folder: Path, seed: int, front_end: FrontEnd, window_seconds: float = 10.0) -> list[Mel]:
    """Sounds that have none of the names, of each the first window; which ones, the seed decides."""
    inputs = find_inputs([folder])
    found: list[Mel] = []
    for item in Random(seed).sample(inputs, len(inputs)):
        if len(found) == OTHERS:
            break
        try:
            wave, _ = decoded(Path(item.path), front_end.sample_rate)
        except InputError:
            continue
        found.append(features_of(wave[: round(window_seconds * front_end.sample_rate)], front_end))
    return found


def one_each(recordings: Sequence[Recording]) -> bool:
    return all(len(recording.labels) == 1 for recording in recordings)


def _clock(tuner: Tuner, recipe: TuneRecipe, batches: Any) -> None:
    """A first plan for so many minutes, from the time of three steps that are thrown away."""
    if recipe.minutes is None:
        return
    began = time.monotonic()
    for number in range(3):
        batch = batches.batch(number) if isinstance(batches, TuneBatches) else batches.batches[number]
        tuner._gradient(tuner.network, batch)
        tuner.optimiser.zero_grad(set_to_none=True)
    each = (time.monotonic() - began) / 3
    _set_steps(tuner, max(1, int((recipe.minutes * 60 - tuner.seconds) / each)))


def _plan(tuner: Tuner, recipe: TuneRecipe) -> None:
    """A new plan for what is left of the minutes: machines are not always as fast as they were."""
    if recipe.minutes is not None:
        left = recipe.minutes * 60 - tuner.seconds
        assert tuner.started is not None
        each = (time.monotonic() - tuner.started) / max(1, tuner.step - tuner.first_step)
        _set_steps(tuner, tuner.step + max(0, int(left / each)))


def _set_steps(tuner: Tuner, steps: int) -> None:
    tuner.notes["steps"] = steps
    tuner.options = dataclasses.replace(tuner.options, steps=steps, judge_every=max(1, steps // JUDGEMENTS))


def finish(tuner: Tuner, out: Path) -> Tuned:
    """The log beside the model; what a stopped run would need goes."""
    notes = tuner.notes
    log = tuner.out / "metrics.jsonl"
    if log.exists():
        log.replace(out / log.name)
    seconds = tuner.seconds
    best = notes.get("best", {})
    figure = next((name for name in ("accuracy", "mAP", "validation words") if name in best), "")
    shutil.rmtree(tuner.out, ignore_errors=True)
    return Tuned(tuner.step, seconds, notes.get("before", {}), best, int(notes.get("best_step", tuner.step)), figure)
