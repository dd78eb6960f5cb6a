"""How fast a network learns: AdamW, learning rates that rise and fall, and a running mean of the weights."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn


@dataclass(frozen=True)
class Pace:
    """A warm-up, then the way down to zero."""

    rate: float = 1e-4  # highest learning rate
    warm_up: int = 100  # steps
    shape: Literal["linear", "cosine", "constant"] = "linear"  # of the way down
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0  # on matrices
    clip_norm: float = 1.0

    def share(self, step: int, steps: int) -> float:
        """Of the highest rate, at this step."""
        rise = min(1.0, (step + 1) / max(1, self.warm_up))
        part = min(1.0, max(0.0, (step - self.warm_up) / max(1, steps - self.warm_up)))
        fall = {"linear": 1 - part, "cosine": 0.5 * (1 + math.cos(math.pi * part)), "constant": 1.0}
        return rise * fall[self.shape]

    def optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """For what learns; each group's learning rate is its highest."""
        return torch.optim.AdamW(self.groups(network), lr=self.rate, betas=self.betas, fused=True)

    def groups(self, network: nn.Module) -> list[dict[str, Any]]:
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        matrices = [parameter for parameter in learning if parameter.ndim > 1]
        others = [parameter for parameter in learning if parameter.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]


@dataclass(frozen=True)
class Plateau(Pace):
    """A warm-up, a long plateau, which can be prolonged at any time, and a final decay by a cosine."""

    warm_up: int = 300
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 5.0
    decay_share: float = 0.4  # of all steps, at the end

    def share(self, step: int, steps: int) -> float:
        rise = min(1.0, (step + 1) / self.warm_up)
        decay_from = steps * (1 - self.decay_share)
        if step < decay_from:
            return rise
        part = min(1.0, (step - decay_from) / max(1.0, steps - decay_from))
        return rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))


class Average:
    """Exponential mean of a network's weights and buffers; it follows faster at the start."""

    def __init__(self, keep: float) -> None:
        self.keep = keep  # 0: there is none
        self.network: nn.Module | None = None

    def begin(self, network: nn.Module) -> None:
        """With the network as it is; else the mean begins with what the first step makes of it."""
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        if not self.keep:
            return
        if self.network is None:
            self.begin(network)
        assert self.network is not None
        keep = min(self.keep, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - keep)
        for mean, now in zip(self.network.buffers(), network.buffers(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)

    def give(self, network: nn.Module) -> None:
        """The network takes the mean for its weights; what is counted, such as steps of a norm, stays its own."""
        if self.network is not None:
            means = {name: mean for name, mean in self.network.state_dict().items() if mean.is_floating_point()}
            network.load_state_dict({**network.state_dict(), **means})
