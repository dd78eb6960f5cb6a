"""AdamW with a warm-up, a long plateau and a final decay, and a running average of the weights."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class OptimiserOptions:
    learning_rate: float = 1.4e-3
    encoder_rate: float = 1.0  # share of it that the encoder gets
    trunk_rate: float = 0.6  # share of the encoder's that its trunk gets, which begins with what is known
    warm_up: int = 300  # steps
    decay_share: float = 0.4  # of all steps, at the end; the plateau before it can be prolonged at any time
    weight_decay: float = 0.03
    clip_norm: float = 5.0
    average: float = 0.999  # of the running mean of the weights


def build_optimiser(network: nn.Module, options: OptimiserOptions) -> torch.optim.Optimizer:
    encoder, trunk = options.learning_rate * options.encoder_rate, options.encoder_rate * options.trunk_rate
    rates = {"encoder.trunk.": options.learning_rate * trunk, "encoder.": encoder, "": options.learning_rate}
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {(part, flat): [] for part in rates for flat in (False, True)}
    for name, parameter in network.named_parameters():
        part = next(part for part in rates if name.startswith(part))
        groups[part, parameter.ndim <= 1].append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": 0.0 if flat else options.weight_decay,
                "lr": rates[part],
                "peak": rates[part],
            }
            for (part, flat), parameters in groups.items()
            if parameters
        ],
        betas=(0.9, 0.98),
        fused=True,
    )


def schedule(step: int, steps: int, options: OptimiserOptions) -> float:
    """Share of the peak learning rate at this step."""
    rise = min(1.0, (step + 1) / options.warm_up)
    decay_from = steps * (1 - options.decay_share)
    if step < decay_from:
        return rise
    part = min(1.0, (step - decay_from) / max(1.0, steps - decay_from))
    return rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))


class Average:
    """Exponential mean of a network's weights and buffers; it follows faster at the start."""

    def __init__(self, network: nn.Module, keep: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.keep = keep

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        keep = min(self.keep, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - keep)
        for mean, now in zip(self.network.buffers(), network.buffers(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
