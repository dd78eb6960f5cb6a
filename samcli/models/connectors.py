"""From an encoder's grid of tokens to the embeddings a language model reads.

SAM's three (arXiv 2509.15680): `concat` (a), `time-major` (b), `frequency-major` (c); ssLALM's `convolution`
(arXiv 2411.15685); ML-Mamba's `scan` (arXiv 2407.19832).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.models.connector_base import Connector, ConnectorConfig, two_layers
from samcli.models.scan_connector import ScanConnector
from samcli.ssm.ragged import valid_mask


class ConcatConnector(Connector):
    """One embedding per time step, from all its bands together."""

    def __init__(self, config: ConnectorConfig, encoder_width: int, bands: int, language_width: int) -> None:
        super().__init__(encoder_width, bands)
        self.mlp = two_layers(bands * encoder_width, config.hidden or language_width, language_width)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.mlp(features), lengths


class SeparatedConnector(Connector):
    """One embedding per patch, in groups of a time step (b) or of a band (c), with a separator between groups.

    The separator is not read by the MLP: it is text. `set_separator` takes the language model's own embeddings of it;
    without them it is learned like any weight.
    """

    def __init__(self, config: ConnectorConfig, encoder_width: int, bands: int, language_width: int) -> None:
        super().__init__(encoder_width, bands)
        self.by_time = config.kind == "time-major"
        self.after_last = config.separator_after_last
        self.mlp = two_layers(encoder_width, config.hidden or language_width, language_width)
        self.separator = nn.Parameter(torch.randn(config.separator_tokens, language_width) * 0.02)

    def set_separator(self, embeddings: Tensor) -> None:
        """Use these embeddings (separator tokens, language width), fixed."""
        if embeddings.shape != self.separator.shape:
            found, wanted = tuple(embeddings.shape), tuple(self.separator.shape)
            raise ValueError(f"the separator's embeddings are {found}, where the connector was built for {wanted}")
        self.separator = nn.Parameter(embeddings.detach().to(self.separator).clone(), requires_grad=False)

    def tokens(self, steps: int) -> int:
        if not steps:
            return 0
        groups, size = (steps, self.bands) if self.by_time else (self.bands, steps)
        return groups * size + (groups if self.after_last else groups - 1) * len(self.separator)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        patches = self.mlp(self.grid(features))  # (batch, steps, bands, language width)
        return self._in_groups(patches, self.separator.to(patches), lengths)

    def spread_steps(self, steps: Tensor, lengths: Tensor) -> Tensor:
        patches = steps[:, :, None].expand(-1, -1, self.bands, -1)
        return self._in_groups(patches, torch.zeros_like(self.separator).to(steps), lengths)[0]

    def _in_groups(self, patches: Tensor, separator: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, steps, bands, width) -> (batch, tokens, width) with the separator between groups, and the counts."""
        if not self.by_time:
            patches = patches.transpose(1, 2)  # (batch, bands, steps, language width)
        batch, groups, size, width = patches.shape
        counts = self.count(lengths)
        place = torch.arange(int(counts.max()) if batch else 0, device=patches.device)
        # valid patches of one group: every band of a step, or a band's valid steps
        inside = torch.full_like(lengths, size) if self.by_time else lengths
        period = (inside + len(separator)).clamp(min=1)[:, None]
        group, offset = place // period, place % period  # (batch, tokens)
        behind = offset - inside[:, None]  # from 0 on: which separator token
        index = torch.where(behind < 0, group * size + offset, groups * size + behind)
        index = index.masked_fill(~valid_mask(counts, len(place)), 0)
        source = torch.cat([patches.flatten(1, 2), separator.expand(batch, -1, -1)], dim=1)
        return source.gather(1, index[..., None].expand(-1, -1, width)), counts


class ConvolutionConnector(Connector):
    """A 3x3 convolution with stride 2 over the grid, then a linear layer: 32 x 4 tokens become 16 x 2 (ssLALM)."""

    def __init__(self, config: ConnectorConfig, encoder_width: int, bands: int, language_width: int) -> None:
        super().__init__(encoder_width, bands)
        self.conv = nn.Conv2d(encoder_width, encoder_width, 3, stride=2, padding=1)
        self.linear = nn.Linear(encoder_width, language_width)

    def tokens(self, steps: int) -> int:
        return -(-steps // 2) * -(-self.bands // 2)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        # the kernel reaches one step past a row's end: let it find the zeros that padding would give it
        features = features * valid_mask(lengths, features.shape[1])[..., None]
        maps = self.conv(self.grid(features).permute(0, 3, 1, 2))  # (batch, width, steps / 2, bands / 2)
        return self.linear(maps.flatten(2).transpose(1, 2)), self.count(lengths)

    def spread_steps(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Each token knows the mean of the valid steps that its kernel reaches."""
        valid = valid_mask(lengths, steps.shape[1]).to(steps)[:, None]  # (batch, 1, steps)
        sums, counts = (F.avg_pool1d(part, 3, stride=2, padding=1) for part in (steps.transpose(1, 2) * valid, valid))
        reached = (sums / counts.clamp(min=1 / 3)).transpose(1, 2)  # (batch, steps / 2, width)
        return reached.repeat_interleave(-(-self.bands // 2), dim=1)


def build_connector(
    config: ConnectorConfig, encoder_width: int, grid: tuple[int, int], language_width: int
) -> Connector:
    """The connector between an encoder whose steps hold grid[1] bands of `encoder_width` and a language model."""
    if config.kind == "scan":
        return ScanConnector(config, encoder_width, grid[1], language_width)
    kinds = {"concat": ConcatConnector, "convolution": ConvolutionConnector}
    return kinds.get(config.kind, SeparatedConnector)(config, encoder_width, grid[1], language_width)
