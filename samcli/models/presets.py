"""Published models as configs: the sizes of the paper's SAM, of ssLALM and of the encoders, by name.

A preset holds no weights. `build` on the meta device makes its tensors' names and shapes without memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from samcli.errors import ModelError
from samcli.models.adapters.lora import AdapterConfig
from samcli.models.connectors import ConnectorConfig
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.models.encoders.eat import Eat, EatConfig
from samcli.models.encoders.ssamba import Ssamba, SsambaConfig
from samcli.models.sam import Sam, SamConfig
from samcli.ssm.language.model import LanguageConfig

DASS_SMALL = DassConfig()
DASS_MEDIUM = replace(DASS_SMALL, depths=(2, 2, 20, 2))
EAT_BASE = EatConfig()
EAT_LARGE = EatConfig(width=1024, layers=24, heads=16)
SSAMBA_BASE = SsambaConfig()
SSAMBA_SMALL = replace(SSAMBA_BASE, width=384)
SSAMBA_TINY = replace(SSAMBA_BASE, width=192)

MAMBA2_130M = LanguageConfig(d_model=768, n_layer=24)
MAMBA2_370M = LanguageConfig(d_model=1024, n_layer=48)
MAMBA2_780M = LanguageConfig(d_model=1536, n_layer=48)
MAMBA2_1_3B = LanguageConfig(d_model=2048, n_layer=48)
MAMBA2_2_7B = LanguageConfig(d_model=2560, n_layer=64)
MAMBA_2_8B = LanguageConfig(d_model=2560, n_layer=64, d_state=16, layer="mamba", pad_vocab_size_multiple=8)


def sam_adapter(rank: int) -> AdapterConfig:
    """SAM's LoRA: on both projections of every block, alpha twice the rank."""
    return AdapterConfig(kind="lora", rank=rank, alpha=2.0 * rank, targets=("in_proj", "out_proj"))


@dataclass(frozen=True)
class Preset:
    """What a published system is made of."""

    config: SamConfig | DassConfig | EatConfig | SsambaConfig
    adapter: AdapterConfig | None = None  # what is trained on the language model


def _sam(language: LanguageConfig) -> Preset:
    # the larger of the paper's two ranks: it helps at every size, most at the small ones
    return Preset(SamConfig(encoder=EAT_BASE, language=language, connector=ConnectorConfig("concat")), sam_adapter(256))


PRESETS: dict[str, Preset] = {
    "sam-130m": _sam(MAMBA2_130M),
    "sam-370m": _sam(MAMBA2_370M),
    "sam-780m": _sam(MAMBA2_780M),
    "sam-1.3b": _sam(MAMBA2_1_3B),
    "sam-2.7b": _sam(MAMBA2_2_7B),
    "sslalm": Preset(
        SamConfig(encoder=DASS_MEDIUM, language=MAMBA_2_8B, connector=ConnectorConfig("convolution")),
        AdapterConfig(rank=8, alpha=16.0, targets=("in_proj",)),
    ),
    "dass-small": Preset(DASS_SMALL),
    "dass-medium": Preset(DASS_MEDIUM),
    "eat-base": Preset(EAT_BASE),
    "eat-large": Preset(EAT_LARGE),
    "eat-base-pretrain": Preset(replace(EAT_BASE, classes=0)),
    "eat-large-pretrain": Preset(replace(EAT_LARGE, classes=0)),
    "ssamba-tiny": Preset(SSAMBA_TINY),
    "ssamba-small": Preset(SSAMBA_SMALL),
    "ssamba-base": Preset(SSAMBA_BASE),
}


def build(name: str, device: torch.device | str = "meta") -> nn.Module:
    """The preset's module, without weights on the meta device, with random ones elsewhere."""
    if name not in PRESETS:
        raise ModelError(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.")
    config = PRESETS[name].config
    with torch.device(device):
        if isinstance(config, SamConfig):
            return Sam(config)
        if isinstance(config, DassConfig):
            return Dass(config)
        if isinstance(config, EatConfig):
            return Eat(config)
        return Ssamba(config)
