"""AuM, Audio Mamba: a bidirectional Mamba over spectrogram patches, the class token in their middle (arXiv 2406.03344).

Its mixer is Vision Mamba's (arXiv 2401.09417), which SSAMBA has too: Mamba over the patches of a picture, one way or
both. Tokens are frequency-major. The position table begins with the class token's, wherever that stands. The authors'
three types are `forward` (Fo-Fo), `shared` (Fo-Bi: the base model) and `both` (Bi-Bi: the small one, begun from
pictures).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.errors import ModelError
from samcli.models.encoders.base import EncoderKind, PaddingEncoder, Published, Reading
from samcli.models.layouts import Layout, Shapes, count_classes, count_layers, shape_of
from samcli.ssm.convolution import causal_convolution
from samcli.ssm.mamba2 import initial_dt_bias
from samcli.ssm.norms import RMSNorm
from samcli.ssm.scan import selective_scan
from samcli.ssm.state import scan_dtype

# forward; both ways with decays of their own alone, summed ("v1"); both ways with all but the outer projections of
# their own, averaged ("v2")
Ways = Literal["forward", "shared", "both"]


class VimMixer(nn.Module):
    """(batch, tokens, width) to that shape, in the published code's order of operations."""

    def __init__(self, width: int, d_state: int = 16, d_conv: int = 4, expand: int = 2, ways: Ways = "both") -> None:
        super().__init__()
        inner, rank = expand * width, -(-width // 16)
        self.ways, self.rank, self.d_state = ways, rank, d_state
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        for way in ("", "_b") if ways == "both" else ("",):
            setattr(self, f"conv1d{way}", nn.Conv1d(inner, inner, d_conv, groups=inner))
            setattr(self, f"x_proj{way}", nn.Linear(inner, rank + 2 * d_state, bias=False))
            dt_proj = nn.Linear(rank, inner)
            dt_proj.bias = nn.Parameter(initial_dt_bias(inner))
            setattr(self, f"dt_proj{way}", dt_proj)
            setattr(self, f"D{way}", nn.Parameter(torch.ones(inner)))
        for way in ("",) if ways == "forward" else ("", "_b"):
            spread = torch.arange(1, d_state + 1, dtype=torch.float32).repeat(inner, 1)
            setattr(self, f"A_log{way}", nn.Parameter(spread.log()))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def heard(self, x: Tensor, way: str = "") -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What a scan reads of (batch, tokens, inner): the convolved tokens, their step sizes, B and C."""
        conv, dt_proj = self.get_submodule(f"conv1d{way}"), self.get_submodule(f"dt_proj{way}")
        x = F.silu(causal_convolution(x, conv.weight, conv.bias)[0])  # type: ignore[arg-type]
        mixed = self.get_submodule(f"x_proj{way}")(x)
        dt, B, C = torch.split(mixed, [self.rank, self.d_state, self.d_state], dim=-1)
        return x, F.softplus(dt_proj(dt).float()), B, C

    def scanned(self, parts: tuple[Tensor, Tensor, Tensor, Tensor], decays: str, skip: str, z: Tensor) -> Tensor:
        """(batch, tokens, inner) gated, in the order it was given."""
        x, dt, B, C = parts
        A = -self.get_parameter(f"A_log{decays}").float().exp()
        y, _ = selective_scan(x, dt, A, B, C, self.get_parameter(f"D{skip}"))
        return y.to(z.dtype) * F.silu(z)

    def forward(self, x: Tensor) -> Tensor:
        x, z = self.in_proj(x).chunk(2, dim=-1)
        parts = self.heard(x)
        y = self.scanned(parts, "", "", z)
        if self.ways == "shared":  # one convolution, which runs forward, is scanned both ways
            back, dt, B, C = (part.flip(1) for part in parts)
            y = y + self.scanned((back, dt, B, C), "_b", "", z.flip(1)).flip(1)
        elif self.ways == "both":
            y = (y + self.scanned(self.heard(x.flip(1), "_b"), "_b", "_b", z.flip(1)).flip(1)) / 2
        out: Tensor = self.out_proj(y)
        return out


@dataclass(frozen=True)
class AumConfig:
    """Sizes of one AuM; the defaults are the base model trained on AudioSet."""

    width: int = 768  # tiny 192, small 384
    layers: int = 24
    ways: Ways = "shared"
    d_state: int = 16  # state dimension (N)
    d_conv: int = 4
    expand: int = 2  # inner width over width (E)
    patch: int = 16
    mel_bins: int = 128
    table_steps: int = 64  # of the stored position table: 1024 frames
    classes: int = 527
    norm_eps: float = 1e-5
    mel_mean: float = -4.2677393  # log-mel energies of AudioSet
    mel_scale: float = 2 * 4.5689974  # two standard deviations
    window_frames: int = 1024

    def __post_init__(self) -> None:
        if self.patch < 1 or self.mel_bins % self.patch:
            raise ValueError(f"AuM's {self.mel_bins} mel bins are not a whole number of {self.patch}-bin patches")


class AumBlock(nn.Module):
    """residual + mixer(norm(residual))"""

    def __init__(self, config: AumConfig) -> None:
        super().__init__()
        c = config
        self.norm = RMSNorm(c.width, c.norm_eps)
        self.mixer = VimMixer(c.width, c.d_state, c.d_conv, c.expand, c.ways)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.mixer(self.norm(x))
        return out


class Aum(PaddingEncoder):
    config: AumConfig

    def __init__(self, config: AumConfig) -> None:
        super().__init__(config)
        self.width, self.step_frames, self.bands = config.width, config.patch, config.mel_bins // config.patch
        self.patches = nn.Conv2d(1, config.width, config.patch, stride=config.patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.positions = nn.Parameter(torch.randn(1, 1 + self.bands * config.table_steps, config.width) * 0.02)
        self.layers = nn.ModuleList(AumBlock(config) for _ in range(config.layers))
        self.norm_f = RMSNorm(config.width, config.norm_eps)
        self.head = nn.Linear(config.width, config.classes) if config.classes else None

    def position_table(self, steps: int) -> Tensor:
        """(1, 1 + bands * steps, width), the class token's first; for other lengths resized by the authors' rule."""
        if steps == self.config.table_steps:
            return self.positions
        grid = self.positions[:, 1:].transpose(1, 2).reshape(1, self.width, self.bands, -1)
        grid = F.interpolate(grid, (self.bands, steps), mode="bilinear", antialias=True)
        return torch.cat([self.positions[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised (batch, frames, mel bins) to the class token (batch, width) and the patches, frequency-major."""
        patches = self.patches(frames.transpose(1, 2)[:, None]).flatten(2).transpose(1, 2)  # (batch, tokens, width)
        positions = self.position_table(patches.shape[1] // self.bands)
        token = (self.class_token + positions[:, :1]).expand(len(patches), -1, -1)
        patches = patches + positions[:, 1:]
        middle = patches.shape[1] // 2
        x = torch.cat([patches[:, :middle], token, patches[:, middle:]], dim=1)
        x = x.to(scan_dtype(x.dtype))  # the residual stream, whatever the weights are
        for layer in self.layers:
            x = layer(x)
        x = self.norm_f(x)
        return x[:, middle], torch.cat([x[:, :middle], x[:, middle + 1 :]], dim=1)

    def read(self, frames: Tensor) -> Reading:
        token, patches = self.encode(frames)
        patches = patches.reshape(len(patches), self.bands, -1, self.width)
        features = patches.transpose(1, 2).flatten(2)  # (batch, steps, bands * width)
        return Reading(features, None if self.head is None else self.head(token), None)


LAYOUT = Layout(
    sign=r"^(module\.)?pos_embed\.pos_embed$",
    rules=(
        (r"^module\.", ""),
        (r"^patch_embed\.proj\.", "patches."),
        (r"^cls_token$", "class_token"),
        (r"^pos_embed\.pos_embed$", "positions"),
        (r"\.A_b_log$", ".A_log_b"),
    ),
)


def config_of(shapes: Shapes, hub: Mapping[str, Any]) -> AumConfig:
    """The sizes of published weights; which parts of a mixer are double tells the type."""
    width, _, patch, across = shape_of(shapes, "patches.weight", "AuM", least=4)
    if patch != across:
        raise ModelError(f"This AuM has patches of {patch} bins by {across} frames; sam has square ones.")
    if "class_token" not in shapes or any(name.startswith("rope.") for name in shapes):
        raise ModelError("This AuM has no class token in its middle, or rotary positions: sam has the published kind.")
    inner, d_state = shape_of(shapes, "layers.0.mixer.A_log", "AuM", least=2)
    both, two = (f"layers.0.mixer.{part}" in shapes for part in ("conv1d_b.weight", "A_log_b"))
    return AumConfig(
        width=width,
        layers=count_layers(shapes, r"layers\."),
        ways="both" if both else "shared" if two else "forward",
        d_state=d_state,
        d_conv=shape_of(shapes, "layers.0.mixer.conv1d.weight", "AuM", least=3)[-1],
        expand=inner // max(1, width),
        patch=patch,
        table_steps=(shape_of(shapes, "positions", "AuM", least=3)[1] - 1) // (BASE.mel_bins // max(1, patch)),
        classes=count_classes(shapes),
    )


BASE = AumConfig()
SMALL = replace(BASE, width=384, ways="both")
KIND = EncoderKind(
    "aum", AumConfig, Aum, AumBlock, {"aum-base": BASE, "aum-small": SMALL}, Published(LAYOUT, config_of)
)
