"""What a tuning begins with: the choices of a run, the base, which of its weights will learn, and what is minimised.

The losses are those of samcli.training.losses: binary cross-entropy against soft targets, summed over classes. For the
taught names the targets are the person's labels; for every other name they are what the base itself says of the very
same scene (learning without forgetting, arXiv 1606.09282), so what is not taught stays.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.checkpoints.catalogue import DEFAULT
from samcli.checkpoints.loading import locate, tokenizer_of
from samcli.checkpoints.modules import LoadedModule, load_folder
from samcli.errors import ModelError
from samcli.models.interface import Encoding
from samcli.models.listener_state import step_probabilities, tags_of_window
from samcli.models.lora import AdapterConfig, add_adapter, train_only_adapters
from samcli.models.tuned import CONFIG, encoder_of, grow, head_layers, reader_layers, vocabulary
from samcli.training.language.script import STEP_SECONDS
from samcli.training.losses import word_loss
from samcli.training.stage import computing
from samcli.training.tune.batches import CachedFeatures, TuneBatch, TuneBatches, TuneBatchOptions

FEWEST_STEPS, EPOCHS, MOST_STEPS = 100, 15, 3000  # when neither epochs nor minutes are asked for
# Linear layers that take an adapter, by their last names: Mamba's, and a transformer's.
TARGETS = ("in_proj", "out_proj", "qkv", "proj", "fc1", "fc2")


@dataclass(frozen=True)
class TuneWeights:
    steps: float = 0.3
    kept: float = 1.0  # what is not taught
    chosen: float = 1.0  # that the right one of several names wins, where a recording has one name
    words: float = 1.0


@dataclass(frozen=True)
class Classes:
    """Places in the head."""

    taught: tuple[int, ...]
    count: int
    one_each: bool = False  # every recording has exactly one of several names

    @property
    def kept(self) -> list[int]:
        taught = set(self.taught)
        return [place for place in range(self.count) if place not in taught]


def tune_losses(
    network: Any, encoding: Encoding, before: Encoding | None, batch: TuneBatch, classes: Classes, weights: TuneWeights
) -> tuple[Tensor, dict[str, float]]:
    """The sum, and its parts by name. `before`: what the base made of the same scenes; None: nothing can be lost."""
    assert encoding.clip_logits is not None
    parts: dict[str, Tensor] = {}
    taught, known = list(classes.taught), batch.known
    if taught and bool(known.any()):
        logits = encoding.clip_logits.float()[known][:, taught]
        parts["tags"] = F.binary_cross_entropy_with_logits(logits, batch.tags[known], reduction="none").sum(1).mean()
        if encoding.step_logits is not None:
            steps = encoding.step_logits.float()[known][:, :, taught]
            # An encoder may take its steps in strides of its own.
            target = F.adaptive_max_pool1d(batch.steps[known].transpose(1, 2), steps.shape[1]).transpose(1, 2)
            loss = F.binary_cross_entropy_with_logits(steps, target, reduction="none").sum(2).mean()
            parts["timeline"] = weights.steps * loss
        sure = batch.tags[known] > 0.5
        alone = sure.sum(1) == 1
        if classes.one_each and bool(alone.any()):
            parts["chosen"] = weights.chosen * F.cross_entropy(logits[alone], sure[alone].float().argmax(1))
    if before is not None and weights.kept:
        parts["kept"] = weights.kept * kept_loss(encoding, before, classes.kept, weights.steps)
    if batch.words is not None:
        embeddings, _ = network.embed_audio(encoding)
        tags = None
        if network.config.reads_tags:
            tags = tags_of_window(step_probabilities(encoding), encoding, STEP_SECONDS)
        parts["words"] = weights.words * word_loss(network, embeddings, tags, batch.words)
    total = sum(parts.values(), torch.zeros(()))
    return total, {"loss": total.item()} | {name: part.item() for name, part in parts.items()}


def kept_loss(encoding: Encoding, before: Encoding, kept: list[int], step_weight: float) -> Tensor:
    """How far the other names have moved from what the base says, in nats; zero when not at all."""
    total = torch.zeros(())
    for now, then, weight in (
        (encoding.clip_logits, before.clip_logits, 1.0),
        (encoding.step_logits, before.step_logits, step_weight),
    ):
        if now is not None and then is not None:
            logits, said = now.float()[..., kept], then.float()[..., kept]
            target = said.sigmoid()
            moved = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
            least = F.binary_cross_entropy_with_logits(said, target, reduction="none")
            total = total + weight * (moved - least).sum(-1).mean()
    return total


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
    """The model that is tuned."""

    name: str  # as it will be found again
    revision: str
    folder: Path
    piece: LoadedModule
    tokenizer: Any  # None: it says nothing

    @property
    def speaks(self) -> bool:
        return self.piece.kind == "sam" and self.tokenizer is not None and self.piece.module.config.aligned  # type: ignore[union-attr,return-value]


def load_base(name: str, *, offline: bool = False) -> Base:
    """The base with its tag head; an adapter is none, for its own base would be lost from sight."""
    if (Path(name).expanduser() / CONFIG).is_file() and not (Path(name).expanduser() / "config.json").exists():
        raise ModelError(f"{name} is an adapter; teach its base instead, or a model tuned with --method full.")
    if name == "tiny-random":
        raise ModelError("tiny-random has no files to build on, and nothing to teach; use --base sam-nano.")
    source = locate(name, offline=offline)
    piece = load_folder(source.folder, dtype=torch.float32)
    if not head_layers(encoder_of(piece.module)) or not piece.labels:
        raise ModelError(f"{name} has no tag head that could learn names; sam-nano has.")
    if source.snapshot is not None:  # the Hub's own name and commit: what it calls by another name may move on
        lasting = f"{source.snapshot.repo}@{source.snapshot.commit}"
    else:
        lasting = name if name == DEFAULT else str(source.folder.resolve())
    tokenizer = tokenizer_of(source, piece.module) if piece.kind == "sam" else None
    return Base(lasting, source.revision, source.folder, piece, tokenizer)


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


def label_parameters(network: nn.Module) -> list[nn.Parameter]:
    """Those with a row or a column for each name."""
    layers = head_layers(encoder_of(network)) + reader_layers(network)
    return [parameter for _, layer in layers for parameter in layer.parameters()]


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


def cache_features(network: nn.Module, batches: TuneBatches, count: int, bfloat16: bool) -> CachedFeatures:
    """The first batches through a frozen encoder, once."""
    encoder = encoder_of(network)
    heard = []
    with torch.no_grad(), computing(torch.device("cpu"), bfloat16):
        for number in range(count):
            batch = batches.batch(number)
            encoding = encoder(batch.mel)
            heard.append(dataclasses.replace(batch, mel=encoding.features.half(), pooled=encoding.pooled))
    return CachedFeatures(heard)
