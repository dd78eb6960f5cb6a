"""EAT: a ViT over spectrogram patches, with or without its tag head (arXiv 2401.03497).

Guarantees the published order of operations: post-norm blocks, a class token without position, positions by patch row
(8 * time + frequency), time-major tokens. Refuses more frames than the stored position table covers, because the
published classes never interpolate it: cut longer sound into windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.errors import ModelError
from samcli.models.encoders.base import EncoderKind, PaddingEncoder, Published, Reading
from samcli.models.layouts import Layout, Shapes, count_classes, count_layers, shape_of


@dataclass(frozen=True)
class EatConfig:
    """Sizes of one EAT; the defaults are EAT-base fine-tuned on AudioSet."""

    width: int = 768  # channels of every token (D)
    layers: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    patch: int = 16  # side of a patch, in frames and in mel bins
    mel_bins: int = 128
    max_steps: int = 768  # time patches in the position table: 768 * 16 frames = 122.9 s
    classes: int = 527  # 0: pre-trained encoder without head
    qkv_bias: bool = True
    norm_eps: float = 1e-6
    head_norm_eps: float = 1e-6  # the training code's value; one published copy of the code uses torch's 1e-5
    mel_mean: float = -4.268  # log-mel energies of AudioSet, rounded as the authors round them
    mel_scale: float = 2 * 4.569  # two standard deviations
    window_frames: int = 1024  # shorter sound is padded to this, as in training

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"EAT's width {self.width} must be a multiple of 4 and of its {self.heads} heads")
        if self.mel_bins % self.patch:
            raise ValueError(f"EAT's {self.mel_bins} mel bins are not a whole number of {self.patch}-bin patches")


def position_table(width: int, steps: int, bands: int) -> Tensor:
    """Fixed sine-cosine positions (1, steps * bands, width): frequency in the first half of the channels, then time."""
    quarter = width // 4
    # float32 on purpose: the authors' table was rounded this way, and published weights were trained on it
    omega = 1.0 / 10000 ** (torch.arange(quarter, dtype=torch.float32) / quarter)

    def waves(index: Tensor) -> Tensor:
        angles = index.float()[:, None] * omega  # (tokens, width / 4)
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    token = torch.arange(steps * bands)
    return torch.cat([waves(token % bands), waves(token // bands)], dim=1)[None]


class EatAttention(nn.Module):
    """Multi-head attention with one stacked projection (rows: queries, keys, values; heads inside each)."""

    def __init__(self, config: EatConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=config.qkv_bias)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        stacked = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = stacked.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, head_dim)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out


class EatMlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class EatBlock(nn.Module):
    """Post-norm: the norm follows each residual sum, so there is none after the last block."""

    def __init__(self, config: EatConfig) -> None:
        super().__init__()
        self.attn = EatAttention(config)
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mlp = EatMlp(config.width, round(config.width * config.mlp_ratio))
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.attn(x))
        out: Tensor = self.norm2(x + self.mlp(x))
        return out


class Eat(PaddingEncoder):
    """The encoder and, when `config.classes` is not 0, its classifier on the class token."""

    head_parts = ("fc_norm", "head")
    positions: Tensor
    config: EatConfig

    def __init__(self, config: EatConfig) -> None:
        super().__init__(config)
        self.width, self.step_frames = config.width, config.patch
        self.bands = config.mel_bins // config.patch
        self.patches = nn.Conv2d(1, config.width, config.patch, stride=config.patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        # in the checkpoint, because a recomputed table differs by some 1e-6 from the one the weights were trained with
        self.register_buffer("positions", position_table(config.width, config.max_steps, self.bands))
        self.pre_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.blocks = nn.ModuleList(EatBlock(config) for _ in range(config.layers))
        self.fc_norm = nn.LayerNorm(config.width, eps=config.head_norm_eps) if config.classes else None
        self.head = nn.Linear(config.width, config.classes) if config.classes else None

    def embed(self, frames: Tensor) -> Tensor:
        """Normalised (batch, frames, mel bins) -> class token, then tokens with positions in time-major order."""
        steps = frames.shape[1] // self.config.patch
        if steps > self.config.max_steps:
            seconds = self.config.max_steps * self.config.patch / 100
            raise ModelError(f"EAT reads at most {seconds:.0f} s at once; cut longer sound into windows.")
        maps = self.patches(frames[:, None])  # (batch, width, steps, bands)
        tokens = maps.flatten(2).transpose(1, 2)  # (batch, steps * bands, width)
        tokens = tokens + self.positions[:, : tokens.shape[1]]
        return torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)

    def tokens(self, frames: Tensor) -> Tensor:
        """After the last block: (batch, 1 + steps * bands, width), the class token first."""
        tokens: Tensor = self.pre_norm(self.embed(frames))
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

    def read(self, frames: Tensor) -> Reading:
        tokens = self.tokens(frames)
        features = tokens[:, 1:].reshape(len(tokens), -1, self.bands * self.width)  # (batch, steps, bands * width)
        if self.head is None or self.fc_norm is None:
            return Reading(features, None, None)
        return Reading(features, self.head(self.fc_norm(tokens[:, 0])), None)


# The Hub's layout ("model." in front of everything) and the two fairseq layouts. What fairseq stores beside the encoder
# is dropped: the teacher, the pre-training decoder and its targets.
LAYOUT = Layout(
    sign=r"(^|\.)blocks\.0\.attn\.qkv\.weight$",
    rules=(
        (r"^(model\.)+", ""),
        (r"^modality_encoders\.IMAGE\.context_encoder\.norm\.", "pre_norm."),
        (r"^modality_encoders\.IMAGE\.", ""),
        (r"^local_encoder\.proj\.", "patches."),
        (r"^extra_tokens$", "class_token"),
        (r"^fixed_positional_encoder\.positions$", "positions"),
    ),
    dropped=r"(^|\.)(_ema|decoder|recon_proj|cls_proj|relative_positional_encoder|alibi_scale)(\.|$)",
)


def config_of(shapes: Shapes, hub: Mapping[str, Any]) -> EatConfig:
    """The sizes of published weights under our names.

    The number of heads is the one size that no shape tells: the json says it, or heads are 64 wide as released.
    """
    width, _, patch, _ = shape_of(shapes, "patches.weight", "EAT", least=4)
    if "num_heads" not in hub and width % 64:
        raise ModelError("This EAT needs its config.json: nothing else tells how many heads it has (num_heads).")
    heads, mel_bins = hub.get("num_heads", max(1, width // 64)), hub.get("mel_bins", 128)
    if not isinstance(heads, int) or not isinstance(mel_bins, int) or heads < 1 or not 1 <= patch <= mel_bins:
        raise ModelError("EAT's config.json gives sizes that no EAT has (num_heads, mel_bins).")
    return EatConfig(
        width=width,
        layers=count_layers(shapes, r"blocks\."),
        heads=heads,
        mlp_ratio=shape_of(shapes, "blocks.0.mlp.fc1.weight", "EAT", least=2)[0] / max(1, width),
        patch=patch,
        mel_bins=mel_bins,
        max_steps=shape_of(shapes, "positions", "EAT", least=3)[1] // (mel_bins // patch),
        classes=count_classes(shapes),
        qkv_bias="blocks.0.attn.qkv.bias" in shapes,
    )


SIZES = {"eat-base": EatConfig(), "eat-large": EatConfig(width=1024, layers=24, heads=16)}
KIND = EncoderKind("eat", EatConfig, Eat, EatBlock, SIZES, Published(LAYOUT, config_of))
