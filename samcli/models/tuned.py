"""A model that was taught further names of sounds: its head grows, and what was learned is a small folder.

    adapter.json         kind, base and its revision, the names that were taught
    adapter.safetensors  rows.*: the head's rows for these names; columns.*: what the language model reads of the new
                         ones; and the low-rank updates of the layers, by their names (LoRA, DoRA)

Reading is strict: a file that is no adapter, or one for another base model, is refused with a sentence, and nothing in
it is ever executed. A name that the base knows takes its old row, any other one is put behind the last. Everything else
of the base stays as it is, to the bit; so an adapter works on the very base it was trained on, and any other one is
refused.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from samcli.errors import ModelError
from samcli.models.encoders.base import Encoder
from samcli.models.lora import AdapterConfig, adapter_state, load_adapter_state, merge_adapters

CONFIG, WEIGHTS = "adapter.json", "adapter.safetensors"
MOST_CONFIG_BYTES = 100_000
# Layers of the tag reader with one column for each class.
COLUMNS = ("steps", "highest", "recent", "early", "left", "lexicon")
START = -4.6  # of a new row's bias: a sound is there in one of a hundred cases
GAIN = 0.5  # of a new class: how far its plainest stretch counts beside the whole window
BIASES = {"head": START, "attention": 0.0, "window_head": START * (1 - GAIN)}


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


def encoder_of(model: object) -> Encoder:
    """The part that hears: of a SAM its encoder, of a tagger all of it."""
    found = model if isinstance(model, Encoder) else getattr(model, "encoder", None)
    if not isinstance(found, Encoder):
        raise ModelError("This base has no audio encoder, so no tag head that could learn names; sam-nano has one.")
    return found


def head_layers(encoder: Encoder) -> list[tuple[str, nn.Linear]]:
    """Those with one row for each class."""
    layers = [(name, getattr(encoder, name)) for name in encoder.head_parts]
    return [(name, layer) for name, layer in layers if isinstance(layer, nn.Linear)]


def reader_layers(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """Of the tag reader, where the language model has one."""
    reader = getattr(model, "tag_reader", None)
    layers = [(name, getattr(reader, name, None)) for name in COLUMNS]
    return [(name, layer) for name, layer in layers if isinstance(layer, nn.Linear)]


def grow(model: nn.Module, count: int) -> None:
    """Room for `count` more classes, in place: everything already known is heard and said as before."""
    if not count:
        return
    encoder = encoder_of(model)
    layers = head_layers(encoder)
    if not layers:
        raise ModelError("This base has no tag head that could learn names; sam-nano has one.")
    for name, layer in layers:
        setattr(encoder, name, _with_rows(layer, count, BIASES[name]))
    gain = getattr(encoder, "gain", None)
    if isinstance(gain, nn.Parameter):
        setattr(encoder, "gain", _longer(gain, count))  # noqa: B010
    _set_classes(encoder, encoder.classes + count)
    if encoder is not model:
        whole: Any = model
        whole.classes = encoder.classes
        whole.config = dataclasses.replace(whole.config, encoder=encoder.config)
        for name, layer in reader_layers(model):
            setattr(model.tag_reader, name, _with_columns(layer, count))


def _set_classes(encoder: Any, classes: int) -> None:
    encoder.classes = classes
    encoder.config = dataclasses.replace(encoder.config, classes=classes)


def _with_rows(layer: nn.Linear, count: int, bias: float) -> nn.Linear:
    grown = _like(layer, layer.in_features, layer.out_features + count)
    with torch.no_grad():
        grown.weight[: layer.out_features] = layer.weight
        grown.weight[layer.out_features :] = 0
        if layer.bias is not None:
            grown.bias[: layer.out_features] = layer.bias
            grown.bias[layer.out_features :] = bias
    return grown


def _longer(gain: nn.Parameter, count: int) -> nn.Parameter:
    return nn.Parameter(torch.cat([gain.detach(), gain.new_full((count,), GAIN)]), requires_grad=gain.requires_grad)


def _with_columns(layer: nn.Linear, count: int) -> nn.Linear:
    grown = _like(layer, layer.in_features + count, layer.out_features)
    with torch.no_grad():
        grown.weight[:, : layer.in_features] = layer.weight
        grown.weight[:, layer.in_features :] = 0
    return grown


def _like(layer: nn.Linear, inputs: int, outputs: int) -> nn.Linear:
    weight = layer.weight
    made = type(layer)(inputs, outputs, bias=layer.bias is not None, device=weight.device, dtype=weight.dtype)
    return made.train(layer.training).requires_grad_(weight.requires_grad)


def vocabulary(known: Sequence[str], taught: Sequence[str]) -> tuple[str, ...]:
    """All names of a tuned model, in its head's order."""
    have = set(known)
    return (*known, *(name for name in taught if name not in have))


def learned_state(
    model: nn.Module, names: Sequence[str], taught: Sequence[str], config: AdapterConfig
) -> dict[str, Tensor]:
    """What an adapter's file holds. `names`: of the grown model."""
    encoder = encoder_of(model)
    places = [names.index(name) for name in taught]
    state = {}
    for name, layer in head_layers(encoder) if taught else ():
        state[f"rows.{name}.weight"] = layer.weight.detach()[places]
        if layer.bias is not None:
            state[f"rows.{name}.bias"] = layer.bias.detach()[places]
    for name, layer in reader_layers(model) if taught else ():
        state[f"columns.{name}"] = layer.weight.detach()[:, places]
    if config.kind != "head":
        state |= adapter_state(model)
    return {name: tensor.cpu().contiguous() for name, tensor in state.items()}


def load_learned(model: nn.Module, known: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Put what the folder holds into its base, merged; the names that the model knows then."""
    config = read_adapter_config(folder)
    state = read_adapter_tensors(folder)
    names = vocabulary(known, config.labels)
    heads = [name for name, _ in head_layers(encoder_of(model))]
    grow(model, len(names) - len(known))
    places = [names.index(name) for name in config.labels]
    slots: dict[str, tuple[Tensor, bool]] = {}
    for name, layer in head_layers(encoder_of(model)):
        slots[f"rows.{name}.weight"] = (layer.weight, True)
        if layer.bias is not None:
            slots[f"rows.{name}.bias"] = (layer.bias, True)
    for name, layer in reader_layers(model):
        slots[f"columns.{name}"] = (layer.weight, False)
    if config.labels and not heads:
        raise ModelError(f"{folder} teaches names of sounds, but its base has no tag head.")
    with torch.no_grad():
        for name, (weight, by_row) in slots.items() if config.labels else ():
            part = state.pop(name, None)
            wanted = (len(places), *weight.shape[1:]) if by_row else (weight.shape[0], len(places))
            if part is None or tuple(part.shape) != wanted:
                raise ModelError(f"{folder / WEIGHTS} was made for another model: {name} is missing or does not fit.")
            if by_row:
                weight[places] = part.to(weight)
            else:
                weight[:, places] = part.to(weight)
    if config.kind != "head":
        load_adapter_state(model, config, state, "default")
        merge_adapters(model)
    elif state:
        raise ModelError(f"{folder / WEIGHTS} was made for another model: {min(state)} has no place in it.")
    return names
