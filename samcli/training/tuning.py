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
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

import torch
from torch import Tensor, nn

from samcli.audio import SAMPLE_RATE
from samcli.checkpoints.catalogue import DEFAULT
from samcli.checkpoints.configs import config_to_json
from samcli.checkpoints.format import kind_of, untied
from samcli.checkpoints.loading import load_tokenizer, locate
from samcli.checkpoints.pieces import Piece, load_piece
from samcli.engine.find import find_inputs
from samcli.errors import InputError, ModelError, UsageError
from samcli.models.adapter_files import CONFIG, WEIGHTS
from samcli.models.lora import AdapterConfig, add_adapter, train_only_adapters
from samcli.models.nano import NanoEncoder
from samcli.models.tuned import encoder_of, grow, head_layers, learned_state, reader_layers, vocabulary
from samcli.training.examine import Examined, decoded
from samcli.training.loop import LoopOptions, Report, Trainer, write_whole
from samcli.training.optimiser import Average, OptimiserOptions, schedule
from samcli.training.recordings import Recording
from samcli.training.tune_batches import Mel, Remembered, TuneBatches, TuneBatchOptions, features_of
from samcli.training.tune_judge import Judged, judge
from samcli.training.tune_losses import Classes, TuneWeights, tune_losses
from samcli.writers.files import explain

METHODS = ("lora", "dora", "full", "head")
STATE = "training"  # the folder in OUT for what a stopped run needs
FEWEST_STEPS, EPOCHS, MOST_STEPS = 100, 15, 3000  # when neither epochs nor minutes are asked for
JUDGEMENTS = 15  # in a run, about
FIRST_STEPS = 200  # of the rows alone; they cost next to nothing
OTHERS, JUDGED_OTHERS = 200, 40  # sounds that have none of the names: heard at most, and held out of these
MOST_REMEMBERED = 400  # batches of features; beyond, they are computed as they come
# Linear layers that take an adapter, by their last names: Mamba's, and a transformer's.
TARGETS = ("in_proj", "out_proj", "qkv", "proj", "fc1", "fc2")


@dataclass(frozen=True)
class TuneRecipe:
    """Every choice of a run."""

    method: Literal["lora", "dora", "full", "head"] = "lora"
    rank: int = 8
    epochs: float | None = None  # an epoch draws as many scenes as there are recordings
    minutes: float | None = None
    rate: float = 1.5e-3  # of adapters
    full_rate: float = 1e-4  # of a whole network
    head_rate: float = 5e-3  # of the taught rows, while they learn alone
    rows_share: float = 0.2  # of it, while the rest learns too
    batches: TuneBatchOptions = field(default_factory=TuneBatchOptions)
    weights: TuneWeights = field(default_factory=TuneWeights)
    seed: int = 0

    def of_size(self, scenes: int) -> TuneRecipe:
        """The same with so many scenes a step."""
        return dataclasses.replace(self, batches=dataclasses.replace(self.batches, scenes=scenes))

    def steps(self, recordings: int) -> int:
        """Of the run, unless the clock decides."""
        each = self.epoch(recordings)
        if self.epochs is not None:
            return max(1, math.ceil(self.epochs * each))
        return min(max(FEWEST_STEPS, EPOCHS * each), max(MOST_STEPS, 4 * each))

    def epoch(self, recordings: int) -> int:
        return max(1, math.ceil(recordings / self.batches.scenes))


@dataclass(frozen=True)
class Base:
    """The model that is taught."""

    name: str  # as it will be found again
    revision: str
    folder: Path
    piece: Piece
    tokenizer: Any  # None: it says nothing

    @property
    def speaks(self) -> bool:
        return self.piece.kind == "sam" and self.tokenizer is not None and self.piece.module.config.aligned  # type: ignore[union-attr,return-value]


@dataclass(frozen=True)
class Tuned:
    """What came of a run."""

    steps: int
    seconds: float
    before: dict[str, float]  # what was judged before the first step
    best: dict[str, float]
    best_step: int
    figure: str  # the name of what was judged: accuracy, mAP or validation words; empty: nothing was


def load_base(name: str, *, offline: bool = False) -> Base:
    """The base with its tag head; an adapter is none, for its own base would be lost from sight."""
    if (Path(name).expanduser() / CONFIG).is_file() and not (Path(name).expanduser() / "config.json").exists():
        raise ModelError(f"{name} is an adapter; teach its base instead, or a model tuned with --method full.")
    if name == "tiny-random":
        raise ModelError("tiny-random has no files to build on, and nothing to teach; use --base sam-nano.")
    source = locate(name, offline=offline)
    piece = load_piece(source.folder, dtype=torch.float32)
    if not head_layers(encoder_of(piece.module)) or not piece.labels:
        raise ModelError(f"{name} has no tag head that could learn names; sam-nano has.")
    if source.snapshot is not None:  # the Hub's own name and commit: what it calls by another name may move on
        lasting = f"{source.snapshot.repo}@{source.snapshot.commit}"
    else:
        lasting = name if name == DEFAULT else str(source.folder.resolve())
    tokenizer = load_tokenizer(source.folder) if piece.kind == "sam" else None
    return Base(lasting, source.revision, source.folder, piece, tokenizer)


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
            encoding = encoder.judged(batch.mel.float()) if remembered else encoder(batch.mel)
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
            encoding = encoder.judged(batch.mel.float())
            total, _ = tune_losses(self.network, encoding, None, alone, self.classes, self.recipe.weights)
            if total.requires_grad:
                total.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.average = Average(self.network, self.options.optimiser.average)

    def _log(self, line: dict[str, Any], report: Report) -> None:
        line["of"] = self.options.steps
        if self.started is not None and self.step > self.first_step:
            each = (time.monotonic() - self.started) / (self.step - self.first_step)
            line["left"] = round((self.options.steps - self.step) * each, 1)
        super()._log(line, report)


def taught_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Those with a row or a column for each name."""
    layers = head_layers(encoder_of(network)) + reader_layers(network)
    return [parameter for _, layer in layers for parameter in layer.parameters()]


def prepare(base: Base, recipe: TuneRecipe, taught: Sequence[str], words: bool) -> tuple[nn.Module, AdapterConfig]:
    """The grown network with what will learn set free, and what its adapter will say of itself."""
    network, names = base.piece.module, vocabulary(base.piece.labels, taught)
    grow(network, len(names) - len(base.piece.labels))
    network.requires_grad_(recipe.method == "full")
    # As a part of the whole model: a tagger is all encoder, and its layers have no part's name in front.
    places = () if encoder_of(network) is network else ("encoder", "language") if words else ("encoder",)
    config = AdapterConfig(
        kind="lora" if recipe.method == "full" else recipe.method,
        rank=recipe.rank,
        alpha=2.0 * recipe.rank,
        targets=TARGETS,
        base=base.name,
        base_revision=base.revision,
        places=places,
        labels=tuple(taught),
    )
    if recipe.method in ("lora", "dora"):
        torch.manual_seed(recipe.seed)
        add_adapter(network, config)
        train_only_adapters(network)
    _free_rows(network, [names.index(name) for name in taught], words)
    return network, config


def _free_rows(network: nn.Module, places: Sequence[int], words: bool) -> None:
    """Let the taught names' rows learn; the gradient of every other row is zero, and so is its change."""
    encoder = encoder_of(network)
    mine = torch.zeros(encoder.classes)
    mine[list(places)] = 1.0
    for _, layer in head_layers(encoder):
        for parameter in layer.parameters():
            parameter.requires_grad_(bool(places))
            if places:
                _learn_only(parameter, mine.view(-1, *[1] * (parameter.dim() - 1)))
    for _, layer in reader_layers(network) if words and places else ():
        _learn_only(layer.weight.requires_grad_(True), mine)


def _learn_only(parameter: Tensor, mask: Tensor) -> None:
    """Zero the gradient wherever the mask is zero."""
    hooked: Any = parameter
    hooked.register_hook(lambda gradient: gradient * mask)


def remembered(network: nn.Module, batches: TuneBatches, count: int, autocast: bool) -> Remembered:
    """The first batches through a frozen encoder, once."""
    encoder = encoder_of(network)
    heard = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        for number in range(count):
            batch = batches.batch(number)
            heard.append(dataclasses.replace(batch, mel=encoder(batch.mel).features.half()))
    return Remembered(heard)


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
        if isinstance(encoder_of(one), NanoEncoder):
            encoder_of(one).to(memory_format=torch.channels_last)
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
    batches: Any = TuneBatches(learners, sounds, taught, make, base.tokenizer if words else None, learned_others)

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
        tuner._log({"step": 0} | judged(network), report)
    count = min(max(48, 2 * epoch), MOST_REMEMBERED)
    if taught and isinstance(encoder_of(network), NanoEncoder):
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


def open_folder(out: Path, settings: dict[str, Any], resume: bool) -> bool:
    """Make OUT ready for this run; False when the run that is to go on is finished already."""
    path = out / STATE / "settings.json"
    if resume:
        if not path.exists():
            if (out / CONFIG).exists() or (out / "config.json").exists():
                return False
            raise UsageError(f"There is nothing to go on with in {str(out)!r}; start without --resume.")
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name in settings if before.get(name) != settings[name]]
        if changed:
            was, now = before.get(changed[0]), settings[changed[0]]
            raise UsageError(
                f"{str(out)!r} was begun with another {changed[0]} ({was}, now {now}): "
                "go on as it was begun, or name another folder."
            )
        return True
    check_new(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(out, error) from error
    write_whole(path, json_bytes(settings))
    return True


def check_new(out: Path) -> None:
    """Refuse a folder that has something in it."""
    if (out / STATE / "settings.json").exists():
        raise UsageError(f"{str(out)!r} holds a run that was stopped: go on with --resume, or name another folder.")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{str(out)!r} is there already: name another folder.")


def settings_of(data: Examined, base: Base, recipe: TuneRecipe, others: Sequence[Mel] = ()) -> dict[str, Any]:
    """What a run that goes on must have the same."""
    return {
        "others": [len(others), sum(map(len, others))],
        "base": base.name,
        "revision of the base": base.revision,
        "method": recipe.method,
        "rank": recipe.rank,
        "epochs": recipe.epochs,
        "minutes": recipe.minutes,
        "seed": recipe.seed,
        "batch size": recipe.batches.scenes,
        "state of the data": data.fingerprint,
    }


def hear_others(folder: Path, seed: int, window_seconds: float = 10.0) -> list[Mel]:
    """Sounds that have none of the names, of each the first window; which ones, the seed decides."""
    inputs = find_inputs([folder])
    found: list[Mel] = []
    for item in Random(seed).sample(inputs, len(inputs)):
        if len(found) == OTHERS:
            break
        try:
            wave, _ = decoded(Path(item.path))
        except InputError:
            continue
        found.append(features_of(wave[: round(window_seconds * SAMPLE_RATE)]))
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


@dataclass(frozen=True)
class Keeper:
    """Writes the best model so far."""

    base: Base
    out: Path
    recipe: TuneRecipe
    config: AdapterConfig
    names: tuple[str, ...]
    taught: Sequence[str]
    data: Examined

    def keep(self, network: nn.Module, figures: dict[str, float], step: int) -> None:
        from safetensors.torch import save

        card = card_of(self.base, self.recipe, self.data, self.taught, figures, step)
        files: dict[str, bytes] = {"README.md": card.encode()}
        if self.recipe.method == "full":
            tensors = {
                name: tensor.to(torch.float16 if tensor.is_floating_point() else tensor.dtype).contiguous()
                for name, tensor in untied(network.state_dict(keep_vars=True)).items()
            }
            files["model.safetensors"] = save(tensors, {"format": "pt"})
            files["labels.json"] = json_bytes(list(self.names))
            tokenizer = self.base.folder / "tokenizer.json"
            if tokenizer.exists():
                files["tokenizer.json"] = tokenizer.read_bytes()
            about: Any = network.config
            files["config.json"] = json_bytes({"model_type": kind_of(about), **config_to_json(about)})
        else:
            files[WEIGHTS] = save(learned_state(network, self.names, self.taught, self.config), {"format": "pt"})
            files[CONFIG] = json_bytes({"model_type": "adapter", **dataclasses.asdict(self.config)})
        for name, data in files.items():  # the description comes last: without it there is no model yet
            write_whole(self.out / name, data)


def json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


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


def card_of(
    base: Base, recipe: TuneRecipe, data: Examined, taught: Sequence[str], figures: dict[str, float], step: int
) -> str:
    """The README of the folder."""
    learners, held = data.split("train"), data.split("validation")
    what = "A whole model" if recipe.method == "full" else "An adapter"
    how = recipe.method if recipe.method in ("full", "head") else f"{recipe.method}, rank {recipe.rank}"
    judged = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
    lines = [
        "# A tuned model",
        "",
        f"{what} made by `sam train tune` from {base.name} (revision {base.revision}), method {how}.",
        "",
        f"- learned from {len(learners)} recordings, judged on {len(held)} held out (split by: {data.split_by})",
        f"- taught: {', '.join(taught) if taught else 'no names, only words'}",
        f"- judged at step {step}: {judged or 'nothing was held out'}",
        "",
    ]
    return "\n".join(lines)
