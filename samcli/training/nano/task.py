"""A step of sam-nano's training: one batch of scenes and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from samcli.models.sam import SamNetwork
from samcli.training.losses import LossWeights, losses
from samcli.training.nano.batches import Batch, SceneBatches
from samcli.training.stage import Outcome


class NanoTask:
    def __init__(self, network: SamNetwork, batches: SceneBatches, weights: LossWeights) -> None:
        self.network, self.batches, self.weights = network, batches, weights

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"network": None}  # workers only make batches

    def batch(self, places: Sequence[int]) -> Batch:
        (number,) = places
        return self.batches.batch(number)

    def outcome(self, batch: Batch) -> Outcome:
        total, parts = losses(self.network, batch, self.weights, self.batches.naming)
        return Outcome(total, torch.ones(()), parts, len(batch.mel))
