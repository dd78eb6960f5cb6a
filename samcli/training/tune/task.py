"""How a trained model is tuned: the loss on a batch of recordings, and the rates of what learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from samcli.models.adapters.tuned import encoder_of
from samcli.models.encoders.base import Encoder
from samcli.models.interface import Encoding
from samcli.training.optimiser import Plateau
from samcli.training.stage import Outcome
from samcli.training.tune.base import TuneRecipe, label_parameters
from samcli.training.tune.batches import CachedFeatures, TuneBatch, TuneBatches
from samcli.training.tune.losses import Classes, tune_losses


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
