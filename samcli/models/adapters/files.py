"""Adapters as small folders: adapter.json (what it is, for which base) and adapter.safetensors.

Reading is strict: a file that is no adapter, or one for another base model, is refused with a sentence, and nothing in
it is ever executed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from samcli.errors import ModelError
from samcli.models.adapters.lora import AdapterConfig, load_adapter_state

CONFIG, WEIGHTS = "adapter.json", "adapter.safetensors"
MOST_CONFIG_BYTES = 100_000


def read_adapter_config(folder: Path) -> AdapterConfig:
    path = folder / CONFIG
    try:
        if path.stat().st_size > MOST_CONFIG_BYTES:
            raise ModelError(f"{path} is too large for an adapter's description.")
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except FileNotFoundError:
        raise ModelError(f"{folder} holds no adapter ({CONFIG}).") from None
    except (OSError, ValueError, RecursionError):
        raise ModelError(f"{path} is not readable as JSON.") from None
    if not isinstance(data, dict) or data.pop("model_type", None) != "adapter":
        raise ModelError(f"{path} does not describe an adapter.")
    try:
        lists = {name: tuple(data[name]) for name in ("targets", "places", "labels") if name in data}
        config = AdapterConfig(**{**data, **lists})
    except (TypeError, ValueError):
        raise ModelError(f"{path} does not describe an adapter that this version of sam knows.") from None
    if not _typed(config):
        raise ModelError(f"{path} holds a value of the wrong type.")
    return config


def load_adapter(
    model: nn.Module, folder: Path, name: str = "default", *, base: str = "", base_revision: str = ""
) -> AdapterConfig:
    """Stack the adapter in `folder` on the model. `base` says which model this is: another than it was trained on is
    refused, because its numbers would fit and mean nothing."""
    config = read_adapter_config(folder)
    if base and config.base and base != config.base:
        raise ModelError(f"{folder} was trained on {config.base}, not on {base}.")
    if base_revision and config.base_revision and base_revision != config.base_revision:
        raise ModelError(f"{folder} was trained on revision {config.base_revision} of {config.base}.")
    load_adapter_state(model, config, read_adapter_tensors(folder), name)
    return config


def read_adapter_tensors(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError):
        raise ModelError(f"{folder / WEIGHTS} is missing or damaged.") from None


def _typed(config: AdapterConfig) -> bool:
    texts = (config.base, config.base_revision, *config.targets, *config.places, *config.labels)
    return (
        config.kind in ("lora", "dora", "head")
        and type(config.rank) is int
        and config.rank <= 65_536
        and all(type(count) is int and count >= 0 for count in (config.recordings, config.verdicts))
        and all(type(value) in (int, float) for value in (config.alpha, config.dropout))
        and all(isinstance(text, str) for text in texts)
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
