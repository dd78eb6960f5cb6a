"""How well a language model foretells what was held out: its perplexity, kept beside the state of the training."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm.language.phi import PhiLanguageModel
from samcli.writers.disk import own_file
from samcli.writers.files import write_whole


@torch.no_grad()
def perplexity(model: PhiLanguageModel, windows: Tensor, at_once: int = 8) -> float:
    """Of every token of (windows, length) but the first of each."""
    nats = 0.0
    for part in torch.split(windows, at_once):
        logits = model(part)[0][:, :-1].float()
        nats += float(F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum"))
    return math.exp(min(80.0, nats / max(1, windows[:, 1:].numel())))


class Judge:
    """Perplexities by name; those that a resumed training passes over are on disk."""

    def __init__(self, path: Path, windows: Tensor, at_once: int = 8) -> None:
        self.path, self.windows, self.at_once = path, windows, at_once
        self.found: dict[str, float] = {}
        if path.exists():
            with own_file(path, own=2) as file:
                self.found = json.load(file)

    def note(self, name: str, model: PhiLanguageModel) -> None:
        self.found[name] = round(perplexity(model, self.windows, self.at_once), 4)
        write_whole(self.path, json.dumps(self.found, indent=2).encode(), own=2)
