"""Every kind of encoder. A new one is a module with a KIND of its own and its lines here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from samcli.errors import ModelError
from samcli.models import connectors, mixture
from samcli.models.encoders import aum, dass, eat, nano, ssamba
from samcli.models.encoders.base import Encoder, EncoderKind

EncoderConfig = nano.NanoConfig | eat.EatConfig | dass.DassConfig | ssamba.SsambaConfig | aum.AumConfig
KINDS = (nano.KIND, eat.KIND, dass.KIND, ssamba.KIND, aum.KIND)
ENCODERS: dict[str, EncoderKind] = {kind.name: kind for kind in KINDS}

SIZES: dict[str, Any] = {name: config for kind in ENCODERS.values() for name, config in kind.sizes.items()}
PARTS = {"mlmamba-connector": connectors.LAYOUT, "mixture": mixture.LAYOUT}  # published, but no models


def build_encoder(config: EncoderConfig) -> Encoder:
    return next(kind for kind in ENCODERS.values() if type(config) is kind.config).encoder(config)


def recognise(names: Iterable[str]) -> EncoderKind | None:
    """Whose published layout these names of tensors belong to, or None."""
    found = list(names)
    for kind in ENCODERS.values():
        if kind.published is not None and kind.published.layout.recognises(found):
            return kind
    for part, layout in PARTS.items():
        if layout.recognises(found):
            raise ModelError(f"These weights are a part called {part}, not a model by itself.")
    return None
