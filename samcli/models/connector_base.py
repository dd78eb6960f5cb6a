"""What every connector between an encoder and a language model is, and what may be chosen of it.

It takes features (batch, steps, bands * width), one token per time step with its frequency bands side by side, and the
number of valid steps of each row; it returns embeddings (batch, tokens, language width) and their valid counts. What
lies behind a row's end never reaches a valid token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["concat", "time-major", "frequency-major", "convolution", "scan"]
Projector = Literal["linear", "gelu-mlp", "fused-gelu-mlp"]


@dataclass(frozen=True)
class ConnectorConfig:
    kind: Kind = "concat"
    hidden: int = 0  # inner width of the two-layer MLP; 0: the language model's width
    separator_tokens: int = 1  # embeddings between groups: the text "&&" as the model's own tokenizer cuts it
    separator_after_last: bool = False  # also behind the last group
    # of `scan` only
    scan_width: int = 0  # 0: the language model's width
    scan_layers: int = 2
    scan_state: int = 128  # state dimension (N)
    scan_headdim: int = 64  # channels per head (P)
    projector: Projector = "fused-gelu-mlp"

    def __post_init__(self) -> None:
        if min(self.hidden, self.separator_tokens, self.scan_width) < 0:
            raise ValueError("a connector has no negative sizes")


class Connector(nn.Module):
    """Base of the connectors."""

    def __init__(self, encoder_width: int, bands: int) -> None:
        super().__init__()
        self.encoder_width, self.bands = encoder_width, bands

    def tokens(self, steps: int) -> int:
        """Embeddings that a row of this many steps becomes."""
        return steps

    def count(self, lengths: Tensor) -> Tensor:
        """`tokens` for a batch of step counts."""
        table = torch.tensor([self.tokens(steps) for steps in lengths.tolist()], dtype=torch.long)
        return table.to(lengths.device)

    def grid(self, features: Tensor) -> Tensor:
        """(batch, steps, bands * width) -> (batch, steps, bands, width)."""
        return features.reshape(*features.shape[:2], self.bands, self.encoder_width)

    def spread_steps(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """What is known of each step (batch, steps, width), spread over the embeddings that the step became."""
        return steps

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


def two_layers(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width_in, hidden), nn.GELU(), nn.Linear(hidden, width_out))
