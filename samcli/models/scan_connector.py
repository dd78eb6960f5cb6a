"""ML-Mamba's connector: two bidirectional Mamba-2 blocks between an encoder and a language model (arXiv 2407.19832).

Its order of operations is the authors' code, quirks included, because their checkpoint depends on them: no norm before
the mixer, one gated norm shared by both directions, the two directions averaged. The tokens are scanned in raster
order, forwards and backwards; the paper's 2-D cross scan exists in no published code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.models.connector_base import Connector, ConnectorConfig, two_layers
from samcli.models.layouts import Layout
from samcli.ssm.convolution import causal_convolution
from samcli.ssm.mamba2 import Mamba2, Mamba2Config, initial_dt_bias
from samcli.ssm.ssd import ssd


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
    return nn.Sequential(
        nn.Linear(width, 4 * width),
        nn.GELU(),
        nn.Linear(4 * width, language_width),
        nn.GELU(),
        nn.Linear(language_width, language_width),
    )


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
