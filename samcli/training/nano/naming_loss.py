"""The loss of naming: among the names that labels use, that of a lone sound should win.

Tags are judged one by one against soft targets; what a person sees first is which name comes out on top. Everyday
clips compete among the everyday classes, each represented by its likeliest AudioSet name; the others among the first
names of all labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.training.nano.corpus import Clip, Targets

SMOOTHING = 0.05  # of everyday classes: some clips hold two
EVERYDAY_WEIGHT, FIRST_WEIGHT = 0.5, 0.3  # nats of either beside the tags' own


@dataclass(frozen=True)
class NamingLoss:
    everyday: tuple[tuple[int, ...], ...]  # AudioSet classes of each everyday class
    first: tuple[int, ...]  # AudioSet classes that are some label's first name
    places: dict[str, int]  # everyday class -> its place
    targets: Targets

    @classmethod
    def of(cls, targets: Targets) -> NamingLoss:
        named = targets.class_names
        everyday = tuple(tuple(targets.index[name] for name in names) for names in named.values())
        hard = [targets.hard(clip) for clip in targets.corpus.split("train")]
        first = tuple(sorted({classes[0] for classes in hard if classes}))
        return cls(everyday, first, {label: place for place, label in enumerate(named)}, targets)

    def entry(self, clip: Clip) -> tuple[int, float]:
        """The clip's place, those of first names behind those of everyday classes, and how far it is trusted."""
        if clip.curated:
            return self.places[clip.label], 1.0
        hard = self.targets.hard(clip)
        if not hard or hard[0] not in self.first:
            return -1, 0.0
        return len(self.everyday) + self.first.index(hard[0]), self.targets.confidence(clip)

    def loss(self, logits: Tensor, name: Tensor, surely: Tensor) -> Tensor:
        """logits (windows, AudioSet classes); `name` and `surely` (windows,) as `entry` gives them."""
        total = logits.new_zeros(())
        everyday = (name >= 0) & (name < len(self.everyday))
        if everyday.any():
            best = torch.stack([logits[everyday][:, list(classes)].amax(1) for classes in self.everyday], 1)
            total = total + EVERYDAY_WEIGHT * F.cross_entropy(best, name[everyday], label_smoothing=SMOOTHING)
        other = name >= len(self.everyday)
        if other.any():
            each = F.cross_entropy(
                logits[other][:, list(self.first)], name[other] - len(self.everyday), reduction="none"
            )
            total = total + FIRST_WEIGHT * (each * surely[other]).mean()
        return total
