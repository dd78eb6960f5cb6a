"""DASS: a VMamba (2-D state-space) tagger for spectrograms of any length (arXiv 2407.04082).

Guarantees the released order of operations: channel-first maps (batch, channels, frequency, time), four first-order
scans per block, a plain sum of the four, no gate, no positions. Its parameters keep one layout; the released `.pth`
and the Hub's safetensors reach it through `LAYOUT`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.models.encoders.base import EncoderKind, PaddingEncoder, Published, Reading
from samcli.models.layouts import Layout, Shapes, count_classes, count_layers, shape_of
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.scan import first_order_scan
from samcli.ssm.state import scan_dtype


@dataclass(frozen=True)
class DassConfig:
    """Sizes of one DASS; the defaults are DASS small."""

    widths: tuple[int, ...] = (96, 192, 384, 768)  # channels of the four stages
    depths: tuple[int, ...] = (2, 2, 8, 2)  # blocks in each stage; medium has 20 in the third
    classes: int = 527  # 0: trunk only
    mlp_ratio: float = 4.0
    mel_bins: int = 128
    norm_eps: float = 1e-5
    mel_mean: float = -4.2677393  # log-mel energies of AudioSet
    mel_scale: float = 2 * 4.5689974  # two standard deviations
    window_frames: int = 1024  # shorter sound is padded to this, as in training

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.depths) or not self.widths:
            raise ValueError("DASS needs one width for each stage depth")
        if self.widths[0] % 2:
            raise ValueError("DASS's first width must be even: its stem starts with half of it")

    @property
    def shrink(self) -> int:
        """Frames per column of the last map: 4 in the stem, then 2 for every change of stage."""
        return int(4 * 2 ** (len(self.widths) - 1))


class MapNorm(nn.LayerNorm):
    """LayerNorm over the channels of a (batch, channels, height, width) map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class MapLinear(FastLinear):
    """A linear layer over the channels of a map (a 1x1 convolution with a 2-D weight)."""

    channels = 1

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class CrossScan(nn.Module):
    """SS2D: every channel runs through the map along four paths, each a first-order recurrence (state size 1)."""

    PATHS = 4  # row by row, column by column, and both reversed

    def __init__(self, width: int, norm_eps: float) -> None:
        super().__init__()
        self.rank = -(-width // 16)  # rank of the step size (R)
        self.in_proj = MapLinear(width, width, bias=False)
        self.conv2d = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.x_proj = nn.Parameter(torch.randn(self.PATHS, self.rank + 2, width) * width**-0.5)
        self.dt_proj = nn.Parameter(torch.randn(self.PATHS, width, self.rank) * self.rank**-0.5)
        # step sizes spread over 0.001 .. 0.1, stored as the inverse of softplus
        steps = torch.exp(torch.rand(self.PATHS, width) * 4.6 - 6.9)
        self.dt_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))
        self.A_log = nn.Parameter(torch.zeros(self.PATHS, width))
        self.D = nn.Parameter(torch.ones(self.PATHS, width))
        self.out_norm = MapNorm(width, eps=norm_eps)
        self.out_proj = MapLinear(width, width, bias=False)

    def paths(self, x: Tensor) -> Tensor:
        """(batch, channels, F, T) -> the four sequences (batch, 4, channels, F * T)."""
        rows, columns = x.flatten(2), x.transpose(2, 3).flatten(2)
        both = torch.stack([rows, columns], dim=1)
        return torch.cat([both, both.flip(-1)], dim=1)

    def merge(self, y: Tensor, height: int, width: int) -> Tensor:
        """Undo `paths` and add the four results: (batch, 4, channels, F * T) -> (batch, channels, F, T)."""
        both = y[:, :2] + y[:, 2:].flip(-1)
        rows = both[:, 0].reshape(*both[:, 0].shape[:2], height, width)
        return rows + both[:, 1].reshape(*both[:, 1].shape[:2], width, height).transpose(2, 3)

    def scan(self, u: Tensor) -> Tensor:
        """The selective recurrence, never below float32: (batch, 4, channels, length) -> same shape."""
        mixed = torch.einsum("bkdl,kcd->bkcl", u, self.x_proj)
        dt, B, C = torch.split(mixed, [self.rank, 1, 1], dim=2)  # (batch, 4, R | 1 | 1, length)
        dt = torch.einsum("bkrl,kdr->bkdl", dt, self.dt_proj)
        dtype = scan_dtype(u.dtype)
        u, B, C = u.to(dtype), B.to(dtype), C.to(dtype)
        dt = F.softplus(dt.to(dtype) + self.dt_bias.to(dtype)[..., None])
        decay = torch.exp(dt * -torch.exp(self.A_log.to(dtype))[..., None])
        h, _ = first_order_scan(decay, dt * B * u)
        y: Tensor = h * C + u * self.D.to(dtype)[..., None]
        return y

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.conv2d(self.in_proj(x)))
        y = self.merge(self.scan(self.paths(x)), *x.shape[2:]).to(x.dtype)
        out: Tensor = self.out_proj(self.out_norm(y))
        return out


class DassMlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = MapLinear(width, hidden)
        self.fc2 = MapLinear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class DassBlock(nn.Module):
    def __init__(self, width: int, config: DassConfig) -> None:
        super().__init__()
        self.norm = MapNorm(width, eps=config.norm_eps)
        self.op = CrossScan(width, config.norm_eps)
        self.norm2 = MapNorm(width, eps=config.norm_eps)
        self.mlp = DassMlp(width, round(width * config.mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.op(self.norm(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class Halve(nn.Module):
    """A stride-2 convolution and a norm: every side becomes ceil(side / 2)."""

    def __init__(self, width_in: int, width_out: int, norm_eps: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out, 3, stride=2, padding=1)
        self.norm = MapNorm(width_out, eps=norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out


class Stage(nn.Module):
    def __init__(self, config: DassConfig, index: int) -> None:
        super().__init__()
        width = config.widths[index]
        self.blocks = nn.Sequential(*(DassBlock(width, config) for _ in range(config.depths[index])))
        last = index + 1 == len(config.widths)
        self.downsample = None if last else Halve(width, config.widths[index + 1], config.norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)
        return x if self.downsample is None else self.downsample(x)


class Dass(PaddingEncoder):
    """The trunk and, when `config.classes` is not 0, its classifier on the mean of the last map."""

    config: DassConfig

    def __init__(self, config: DassConfig) -> None:
        super().__init__(config)
        self.width, self.step_frames = config.widths[-1], config.shrink
        self.bands = -(-config.mel_bins // config.shrink)
        self.scores_steps = bool(config.classes)
        first, eps = config.widths[0], config.norm_eps
        self.stem = nn.Sequential(Halve(1, first // 2, eps), nn.GELU(), Halve(first // 2, first, eps))
        self.stages = nn.ModuleList(Stage(config, index) for index in range(len(config.widths)))
        self.norm = MapNorm(self.width, eps=eps)
        self.head = nn.Linear(self.width, config.classes) if config.classes else None

    def map(self, frames: Tensor) -> Tensor:
        """Normalised (batch, frames, mel bins) -> the last map before its norm (batch, width, bands, steps)."""
        x = self.stem(frames.transpose(1, 2)[:, None])  # (batch, width, F / 4, T / 4)
        for stage in self.stages:
            x = stage(x)
        return cast(Tensor, x)

    def read(self, frames: Tensor) -> Reading:
        """The head is linear, so the clip logits are the mean of the step logits."""
        x = self.norm(self.map(frames))
        features = x.permute(0, 3, 2, 1).flatten(2)  # (batch, steps, bands * width)
        if self.head is None:
            return Reading(features, None, None)
        return Reading(features, self.head(x.mean((2, 3))), self.head(x.mean(2).transpose(1, 2)))


# The released `.pth` (DataParallel's "module." in front, or not) and the Hub's safetensors, in one table: no rule
# of one matches a name of the other.
LAYOUT = Layout(
    sign=r"\.op\.A_logs$",
    rules=(
        (r"^(module\.)?v\.", ""),
        (r"^dass\.", ""),
        (r"^classifier\.(norm|head)\.", r"\1."),
        (r"^patch_embed\.0\.|^patch_embeddings\.projection\.0\.", "stem.0.conv."),
        (r"^patch_embed\.2\.|^patch_embeddings\.projection\.1\.", "stem.0.norm."),
        (r"^patch_embed\.5\.|^patch_embeddings\.projection\.3\.", "stem.2.conv."),
        (r"^patch_embed\.7\.|^patch_embeddings\.projection\.4\.", "stem.2.norm."),
        (r"^layers\.", "stages."),
        (r"\.downsample\.(1|down)\.", ".downsample.conv."),
        (r"\.downsample\.3\.", ".downsample.norm."),
        (r"\.op\.x_proj[._]weight$", ".op.x_proj"),
        (r"\.op\.dt_projs[._]weight$", ".op.dt_proj"),
        (r"\.op\.dt_projs_bias$", ".op.dt_bias"),
        (r"\.op\.A_logs$", ".op.A_log"),
        (r"\.op\.Ds$", ".op.D"),
    ),
)


def config_of(shapes: Shapes, hub: Mapping[str, Any]) -> DassConfig:
    """The sizes of published weights under our names."""
    stages = count_layers(shapes, r"stages\.")
    widths = tuple(shape_of(shapes, f"stages.{i}.blocks.0.norm.weight", "DASS")[0] for i in range(stages))
    fc1 = shape_of(shapes, "stages.0.blocks.0.mlp.fc1.weight", "DASS", least=2)
    return DassConfig(
        widths=widths,
        depths=tuple(count_layers(shapes, rf"stages\.{i}\.blocks\.") for i in range(stages)),
        classes=count_classes(shapes),
        mlp_ratio=fc1[0] / max(1, widths[0]),
    )


SMALL = DassConfig()
SIZES = {"dass-small": SMALL, "dass-medium": replace(SMALL, depths=(2, 2, 20, 2))}
KIND = EncoderKind("dass", DassConfig, Dass, DassBlock, SIZES, Published(LAYOUT, config_of))
