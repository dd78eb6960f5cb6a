"""From an encoder's grid of tokens to the embeddings a language model reads.

A connector takes features (batch, steps, bands * width), one token per time step with its frequency bands side by side,
and the number of valid steps of each row; it returns embeddings (batch, tokens, language width) and their valid counts.
What lies behind a row's end never reaches a valid token.

SAM's three (arXiv 2509.15680): `concat` (a), `time-major` (b), `frequency-major` (c); ssLALM's `convolution`
(arXiv 2411.15685); ML-Mamba's `scan` (arXiv 2407.19832), whose order of operations is the authors' code, quirks
included, because their checkpoint depends on them: no norm before the mixer, one gated norm shared by both directions,
the two directions averaged. Its tokens are scanned in raster order, forwards and backwards; the paper's 2-D cross scan
exists in no published code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.models.layouts import Layout
from samcli.ssm.convolution import causal_convolution
from samcli.ssm.mamba2 import Mamba2, Mamba2Config, initial_dt_bias
from samcli.ssm.ssd import ssd
from samcli.ssm.state import valid_mask

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


def reverse_rows(x: Tensor, lengths: Tensor) -> Tensor:
    """Each row's valid tokens backwards, its padding left behind them; its own inverse."""
    place = torch.arange(x.shape[1], device=x.device)
    mirrored = lengths[:, None] - 1 - place  # (batch, tokens)
    index = torch.where(mirrored >= 0, mirrored, place)
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))


class TwoWayMamba2(Mamba2):
    """A Mamba-2 mixer whose projections are scanned both ways, each way with its own convolution and scan."""

    def __init__(self, config: Mamba2Config) -> None:
        super().__init__(config)
        channels = config.conv_channels
        self.conv1d_b = nn.Conv1d(channels, channels, config.d_conv, groups=channels, bias=True)
        self.dt_bias_b = nn.Parameter(initial_dt_bias(config.heads))
        self.A_log_b = nn.Parameter(torch.empty(config.heads).uniform_(1, 16).log())
        self.D_b = nn.Parameter(torch.ones(config.heads))

    def one_way(self, projected: Tensor, conv: nn.Module, dt_bias: Tensor, A_log: Tensor, D: Tensor) -> Tensor:
        c = self.config
        batch, length, _ = projected.shape
        z, xBC, dt = torch.split(projected, [c.d_inner, c.conv_channels, c.heads], dim=-1)
        xBC = F.silu(causal_convolution(xBC, conv.weight, conv.bias)[0]).float()  # type: ignore[arg-type]
        x, B, C = torch.split(xBC, [c.d_inner, c.ngroups * c.d_state, c.ngroups * c.d_state], dim=-1)
        x = x.reshape(batch, length, c.heads, c.headdim)
        B, C = (m.reshape(batch, length, c.ngroups, c.d_state) for m in (B, C))
        dt = F.softplus(dt.float() + dt_bias.float())  # (batch, length, heads)
        y, _ = ssd(x, dt * -A_log.float().exp(), B, C, dt, D.float())
        return self.norm.gated(y.reshape(batch, length, c.d_inner), z)

    def mix(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, tokens, width) -> same shape; valid tokens come first and depend on valid tokens only."""
        forward = self.in_proj(x)
        backward = reverse_rows(forward, lengths)
        y = self.one_way(forward, self.conv1d, self.dt_bias, self.A_log, self.D)
        y_b = self.one_way(backward, self.conv1d_b, self.dt_bias_b, self.A_log_b, self.D_b)
        mixed: Tensor = self.out_proj((y + reverse_rows(y_b, lengths)) / 2)
        return mixed


class SwiGlu(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, width)
        self.w2 = nn.Linear(width, width)
        self.w3 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.w3(F.silu(self.w1(x)) * self.w2(x))
        return y


class ScanBlock(nn.Module):
    def __init__(self, config: Mamba2Config) -> None:
        super().__init__()
        self.mixer = TwoWayMamba2(config)
        self.norm = nn.LayerNorm(config.d_model, eps=1e-5)
        self.mlp = SwiGlu(config.d_model)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = x + self.mixer.mix(x, lengths)
        y: Tensor = x + self.mlp(self.norm(x))
        return y


def build_projector(kind: str, width: int, language_width: int) -> nn.Module:
    if kind == "linear":
        return nn.Linear(width, language_width)
    if kind == "gelu-mlp":
        return two_layers(width, language_width, language_width)
    rest = two_layers(4 * width, language_width, language_width)
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), *rest)


class ScanConnector(Connector):
    """One embedding per patch, in time-major order."""

    def __init__(self, config: ConnectorConfig, encoder_width: int, bands: int, language_width: int) -> None:
        super().__init__(encoder_width, bands)
        width = config.scan_width or language_width
        mixer = Mamba2Config(d_model=width, d_state=config.scan_state, headdim=config.scan_headdim)
        self.enter = nn.Linear(encoder_width, width)
        self.layers = nn.ModuleList(ScanBlock(mixer) for _ in range(config.scan_layers))
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.projector = build_projector(config.projector, width, language_width)

    def tokens(self, steps: int) -> int:
        return steps * self.bands

    def spread_steps(self, steps: Tensor, lengths: Tensor) -> Tensor:
        return steps.repeat_interleave(self.bands, dim=1)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = F.gelu(self.enter(self.grid(features).flatten(1, 2)))  # (batch, steps * bands, width)
        counts = self.count(lengths)
        for layer in self.layers:
            x = layer(x, counts)
        return self.projector(self.norm(x)), counts


def build_connector(
    config: ConnectorConfig, encoder_width: int, grid: tuple[int, int], language_width: int
) -> Connector:
    """The connector between an encoder whose steps hold grid[1] bands of `encoder_width` and a language model."""
    if config.kind == "scan":
        return ScanConnector(config, encoder_width, grid[1], language_width)
    kinds = {"concat": ConcatConnector, "convolution": ConvolutionConnector}
    return kinds.get(config.kind, SeparatedConnector)(config, encoder_width, grid[1], language_width)


# The released checkpoint is a dict of parts; their names and the tensors' are joined with a dot.
LAYOUT = Layout(
    sign=r"^bidirectional_mamba\.",
    rules=(
        (r"^mlp\.0\.", "enter."),
        (r"^bidirectional_mamba\.norm_f\.", "norm."),
        (r"^bidirectional_mamba\.", ""),
        (r"^projector\.projector\.", "projector."),
    ),
    dropped=r"^llm_backbone\.",
)
