"""Configs of published models, read from what their files say: shapes of tensors (under our names) and the Hub's json.

Shapes decide wherever they can: a repository's name or json may be wrong, the tensors are what will be run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from samcli.errors import ModelError
from samcli.models.encoders.dass import DassConfig
from samcli.models.encoders.eat import EatConfig
from samcli.models.encoders.ssamba import SsambaConfig

Shapes = Mapping[str, tuple[int, ...]]


def _shape(shapes: Shapes, name: str, kind: str, least: int = 1) -> tuple[int, ...]:
    if name not in shapes or len(shapes[name]) < least:
        raise ModelError(f"These weights look like {kind} but lack the tensor {name}.")
    return shapes[name]


def _count(shapes: Shapes, pattern: str) -> int:
    """How many different numbers follow the pattern's prefix: layers, blocks, stages.

    A gap in the numbers gives fewer layers than the highest asks for, and strict loading then names the strangers.
    """
    return len({match[1] for name in shapes if (match := re.match(pattern + r"(\d{1,4})\.", name))})


def _classes(shapes: Shapes) -> int:
    return shapes["head.weight"][0] if shapes.get("head.weight") else 0


def dass_config(shapes: Shapes, hub: Mapping[str, Any] | None = None) -> DassConfig:
    stages = _count(shapes, r"stages\.")
    widths = tuple(_shape(shapes, f"stages.{i}.blocks.0.norm.weight", "DASS")[0] for i in range(stages))
    fc1 = _shape(shapes, "stages.0.blocks.0.mlp.fc1.weight", "DASS", least=2)
    return DassConfig(
        widths=widths,
        depths=tuple(_count(shapes, rf"stages\.{i}\.blocks\.") for i in range(stages)),
        classes=_classes(shapes),
        mlp_ratio=fc1[0] / max(1, widths[0]),
    )


def eat_config(shapes: Shapes, hub: Mapping[str, Any] | None = None) -> EatConfig:
    """The number of heads is the one size that no shape tells: the json says it, or heads are 64 wide as released."""
    hub = hub or {}
    width, _, patch, _ = _shape(shapes, "patches.weight", "EAT", least=4)
    heads, mel_bins = hub.get("num_heads", max(1, width // 64)), hub.get("mel_bins", 128)
    if not isinstance(heads, int) or not isinstance(mel_bins, int) or heads < 1 or not 1 <= patch <= mel_bins:
        raise ModelError("EAT's config.json gives sizes that no EAT has (num_heads, mel_bins).")
    return EatConfig(
        width=width,
        layers=_count(shapes, r"blocks\."),
        heads=heads,
        mlp_ratio=_shape(shapes, "blocks.0.mlp.fc1.weight", "EAT", least=2)[0] / max(1, width),
        patch=patch,
        mel_bins=mel_bins,
        max_steps=_shape(shapes, "positions", "EAT", least=3)[1] // (mel_bins // patch),
        classes=_classes(shapes),
        qkv_bias="blocks.0.attn.qkv.bias" in shapes,
    )


def ssamba_config(shapes: Shapes, hub: Mapping[str, Any] | None = None) -> SsambaConfig:
    """The position table tells the grid when its 128 mel bins gave 8 rows without overlap, or 12 with stride 10."""
    width, _, patch, _ = _shape(shapes, "patches.weight", "SSAMBA", least=4)
    patches = _shape(shapes, "positions", "SSAMBA", least=3)[1] - 1
    inner, d_state = _shape(shapes, "layers.0.mixer.A_log", "SSAMBA", least=2)
    # 12 rows of 101 steps: a fine-tuned model's own table for ten seconds
    stride, bands = (10, 12) if patches == 12 * 101 else (patch, 128 // max(1, patch))
    return SsambaConfig(
        width=width,
        layers=_count(shapes, r"layers\."),
        d_state=d_state,
        d_conv=_shape(shapes, "layers.0.mixer.conv1d.weight", "SSAMBA", least=3)[-1],
        expand=inner // max(1, width),
        patch=patch,
        stride=stride,
        table_bands=bands,
        table_steps=patches // max(1, bands),
        classes=_classes(shapes),
        pretraining="cpred.0.weight" in shapes,
    )


CONFIGS = {"dass": dass_config, "eat": eat_config, "ssamba": ssamba_config}


def hub_labels(hub: Mapping[str, Any]) -> tuple[str, ...]:
    """The label names of a Hub config's id2label, in order; empty when it has none."""
    names = hub.get("id2label")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        return ()
    try:
        return tuple(names[key] for key in sorted(names, key=int))
    except ValueError:
        return ()
