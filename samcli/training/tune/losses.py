"""What is minimised when a trained model learns further sounds: the names, the words, and what it knew before.

The form is that of losses.py: binary cross-entropy against soft targets, summed over classes. For the taught names the
targets are the person's labels; for every other name they are what the base itself says of the very same scene
(learning without forgetting, arXiv 1606.09282), so what is not taught stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.models.interface import Encoding
from samcli.models.listener_state import step_probabilities, tags_of_window
from samcli.training.language.script import STEP_SECONDS
from samcli.training.losses import word_loss
from samcli.training.tune.batches import TuneBatch


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
