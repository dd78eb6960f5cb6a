"""SSAMBA: a self-supervised bidirectional Vision-Mamba over spectrogram patches (arXiv 2405.11831).

Its order of operations is the published code's, quirks included, because published weights were trained with them:
layers run in pairs (the odd one on the reversed sequence) and both residuals are added, so the residual doubles with
every pair; the two directions of a mixer are averaged; the final norm is applied twice. Tokens are frequency-major.

The released weights are pre-trained only. Without a fine-tuned head (`classes` = 0) it makes features, not tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.errors import ModelError
from samcli.models.encoders.aum import VimMixer
from samcli.models.encoders.base import EncoderKind, PaddingEncoder, Published, Reading
from samcli.models.layouts import Layout, Shapes, count_classes, count_layers, shape_of


@dataclass(frozen=True)
class SsambaConfig:
    """Sizes of one SSAMBA; the defaults are the pre-trained base model."""

    width: int = 768  # tiny 192, small 384
    layers: int = 24
    d_state: int = 16  # state dimension (N)
    d_conv: int = 4
    expand: int = 2  # inner width over width (E)
    patch: int = 16
    stride: int = 16  # 10 in fine-tuning: patches overlap
    mel_bins: int = 128
    table_bands: int = 8  # grid of the stored position table, as pre-trained: no overlap, 1024 frames
    table_steps: int = 64
    classes: int = 0
    pool: Literal["tokens", "class"] = "tokens"  # what the head reads: the mean of the patches, or the class token
    pretraining: bool = True  # holds the mask token and the two prediction heads
    paired: bool = True  # the published runs' bidirectional flag; False runs the layers one after the other
    norm_eps: float = 1e-5
    mel_mean: float = -4.2677393  # log-mel energies of AudioSet
    mel_scale: float = 2 * 4.5689974  # two standard deviations
    window_frames: int = 1024

    def __post_init__(self) -> None:
        if min(self.patch, self.stride) < 1 or self.mel_bins < self.patch:
            raise ValueError("SSAMBA needs patches of at least one frame that fit into its mel bins")


class SsambaBlock(nn.Module):
    """Adds first and mixes after; hidden and residual are returned un-added."""

    def __init__(self, config: SsambaConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mixer = VimMixer(config.width, config.d_state, config.d_conv, config.expand)

    def forward(self, hidden: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        residual = hidden if residual is None else residual + hidden
        return self.mixer(self.norm(residual)), residual


def resize_positions(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """The authors' rule for a table (1, bands * steps, width) on another grid: a shorter time axis is the old one's
    middle, a longer one is interpolated, and then the frequency axis is."""
    bands, steps = new
    maps = table.transpose(1, 2).reshape(1, -1, *old)  # (1, width, old bands, old steps)
    if steps < old[1]:
        start = old[1] // 2 - steps // 2
        maps = maps[..., start : start + steps]
    elif steps > old[1]:
        maps = F.interpolate(maps, (old[0], steps), mode="bilinear", align_corners=False)
    if bands != old[0]:
        maps = F.interpolate(maps, (bands, steps), mode="bilinear", align_corners=False)
    return maps.flatten(2).transpose(1, 2)


class PretrainingLoss(NamedTuple):
    joint: Tensor  # nce + 10 * mse, the published objective
    nce: Tensor  # contrastive: which masked patch is which
    mse: Tensor  # generative: what the masked patches hold
    nce_accuracy: Tensor


class Ssamba(PaddingEncoder):
    head_parts = ("head_norm", "head")
    config: SsambaConfig

    def __init__(self, config: SsambaConfig) -> None:
        super().__init__(config)
        self.width, self.step_frames = config.width, config.stride
        self.bands = (config.mel_bins - config.patch) // config.stride + 1
        self.patches = nn.Conv2d(1, config.width, config.patch, stride=config.stride)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        table = 1 + config.table_bands * config.table_steps
        self.positions = nn.Parameter(torch.randn(1, table, config.width) * 0.02)
        self.layers = nn.ModuleList(SsambaBlock(config) for _ in range(config.layers))
        self.norm_f = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.head_norm = nn.LayerNorm(config.width) if config.classes else None
        self.head = nn.Linear(config.width, config.classes) if config.classes else None
        if config.pretraining:
            pixels = config.patch**2
            self.mask_token = nn.Parameter(torch.zeros(1, 1, config.width))
            self.cpred, self.gpred = (
                nn.Sequential(nn.Linear(config.width, config.width), nn.ReLU(), nn.Linear(config.width, pixels))
                for _ in range(2)
            )

    def steps(self, frames: int) -> int:
        return (frames - self.config.patch) // self.config.stride + 1

    def embed(self, frames: Tensor) -> Tensor:
        """Normalised (batch, frames, mel bins) -> patches (batch, bands * steps, width), frequency-major."""
        maps: Tensor = self.patches(frames.transpose(1, 2)[:, None])  # (batch, width, bands, steps)
        return maps.flatten(2).transpose(1, 2)

    def position_table(self, steps: int) -> Tensor:
        """(1, 1 + bands * steps, width), the class token's first."""
        old, new = (self.config.table_bands, self.config.table_steps), (self.bands, steps)
        if old == new:
            return self.positions
        return torch.cat([self.positions[:, :1], resize_positions(self.positions[:, 1:], old, new)], dim=1)

    def encode(self, patches: Tensor) -> Tensor:
        """(batch, bands * steps, width) -> (batch, 1 + bands * steps, width), the class token first."""
        hidden = torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1)
        hidden = hidden + self.position_table(patches.shape[1] // self.bands)
        residual: Tensor | None = None
        if not self.config.paired:
            for layer in self.layers:
                hidden, residual = layer(hidden, residual)
        else:
            for even, odd in zip(self.layers[::2], self.layers[1::2], strict=False):
                behind = None if residual is None else residual.flip(1)
                backward, backward_residual = odd(hidden.flip(1), behind)
                hidden, residual = even(hidden, residual)
                hidden, residual = hidden + backward.flip(1), residual + backward_residual.flip(1)
        hidden = hidden if residual is None else residual + hidden
        out: Tensor = self.norm_f(self.norm_f(hidden))
        return out

    def read(self, frames: Tensor) -> Reading:
        tokens = self.encode(self.embed(frames))
        patches = tokens[:, 1:].reshape(len(tokens), self.bands, -1, self.width)
        features = patches.transpose(1, 2).flatten(2)  # (batch, steps, bands * width)
        if self.head is None or self.head_norm is None:
            return Reading(features, None, None)
        pooled = tokens[:, 1:].mean(1) if self.config.pool == "tokens" else tokens[:, 0]
        return Reading(features, self.head(self.head_norm(pooled)), None)

    def pretrain(self, frames: Tensor, mask: Tensor) -> PretrainingLoss:
        """Hide the patches numbered by `mask` (batch, masked) and predict them from the others."""
        c = self.config
        if not c.pretraining or c.stride != c.patch:
            raise ModelError("This SSAMBA cannot be pre-trained: that needs its prediction heads and disjoint patches.")
        rows = torch.arange(len(mask), device=mask.device)[:, None]
        patches = self.embed(frames).clone()
        patches[rows, mask] = self.mask_token[0, 0].to(patches.dtype)
        hidden = self.encode(patches)[rows, mask + 1]  # (batch, masked, width)
        pixels = F.unfold(frames.transpose(1, 2)[:, None], c.patch, stride=c.stride).transpose(1, 2)
        targets = pixels[rows, mask]  # (batch, masked, patch * patch)
        scores = targets @ self.cpred(hidden).transpose(1, 2)  # (batch, masked targets, masked predictions)
        own = scores.diagonal(dim1=1, dim2=2)
        nce = (scores.logsumexp(2) - own).mean()
        # as published: normalised over the predictions, but each prediction picks its target
        picked = scores.softmax(2).argmax(1)
        accuracy = (picked == torch.arange(mask.shape[1], device=mask.device)).float().mean()
        mse = F.mse_loss(self.gpred(hidden), targets)
        return PretrainingLoss(nce + 10 * mse, nce, mse, accuracy)


# Dropped are an unused ImageNet head of 1000 classes, and the grid size, which the position table tells as well.
LAYOUT = Layout(
    sign=r"^(module\.)?v\.layers\.0\.mixer\.conv1d_b\.weight$",
    rules=(
        (r"^module\.", ""),
        (r"^v\.patch_embed\.proj\.", "patches."),
        (r"^v\.cls_token$", "class_token"),
        (r"^v\.pos_embed$", "positions"),
        (r"^v\.norm_f\.", "norm_f."),
        (r"^v\.layers\.", "layers."),
        (r"\.A_b_log$", ".A_log_b"),
        (r"^mlp_head\.0\.", "head_norm."),
        (r"^mlp_head\.1\.", "head."),
        (r"^mask_embed$", "mask_token"),
        (r"^(c|g)predlayer\.", r"\1pred."),
    ),
    dropped=r"(^|\.)(v\.head\.(weight|bias)|p_input_[ft]dim)$",
)


def config_of(shapes: Shapes, hub: Mapping[str, Any]) -> SsambaConfig:
    """The sizes of published weights; the position table tells the grid when its 128 mel bins gave 8 rows without
    overlap, or 12 with stride 10."""
    width, _, patch, _ = shape_of(shapes, "patches.weight", "SSAMBA", least=4)
    patches = shape_of(shapes, "positions", "SSAMBA", least=3)[1] - 1
    inner, d_state = shape_of(shapes, "layers.0.mixer.A_log", "SSAMBA", least=2)
    # 12 rows of 101 steps: a fine-tuned model's own table for ten seconds
    stride, bands = (10, 12) if patches == 12 * 101 else (patch, 128 // max(1, patch))
    return SsambaConfig(
        width=width,
        layers=count_layers(shapes, r"layers\."),
        d_state=d_state,
        d_conv=shape_of(shapes, "layers.0.mixer.conv1d.weight", "SSAMBA", least=3)[-1],
        expand=inner // max(1, width),
        patch=patch,
        stride=stride,
        table_bands=bands,
        table_steps=patches // max(1, bands),
        classes=count_classes(shapes),
        pretraining="cpred.0.weight" in shapes,
    )


BASE = SsambaConfig()
SIZES = {"ssamba-tiny": replace(BASE, width=192), "ssamba-small": replace(BASE, width=384), "ssamba-base": BASE}
KIND = EncoderKind("ssamba", SsambaConfig, Ssamba, SsambaBlock, SIZES, Published(LAYOUT, config_of))
