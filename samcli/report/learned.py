"""What the head of a page says of a model that was taught: which labels, and from how much."""

from __future__ import annotations

from pathlib import Path

from samcli.checkpoints.loading import is_adapter, split_adapters
from samcli.models.lora import AdapterConfig
from samcli.models.tuned import read_adapter_config

MOST_NAMES = 8


def learned(model: str) -> str:
    """A sentence for each adapter in the model's name, in its own words; nothing for a model without any."""
    name, adapters = split_adapters(model)
    folders = [Path(folder).expanduser() for folder in ((name, *adapters) if is_adapter(name) else adapters)]
    return " ".join(_sentence(folder.resolve().name, read_adapter_config(folder)) for folder in folders)


def _sentence(name: str, config: AdapterConfig) -> str:
    taught = ", ".join(config.labels[:MOST_NAMES]) or "words, no labels"
    if len(config.labels) > MOST_NAMES:
        taught += f" and {len(config.labels) - MOST_NAMES} more"
    count, what = (config.verdicts, "verdict") if config.verdicts else (config.recordings, "recording")
    source = f" from {count} {what}{'' if count == 1 else 's'}" if count else ""
    return f"{name} was taught{source}: {taught}."
