"""Whatever a folder of weights holds, as a module of ours: our own format, or a published layout known by its names.

Published weights go the same strict way as ours once their tensors have our names: every tensor has its place, every
place its tensor. The sizes come from the tensors themselves wherever they can, since they are what will be run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from samcli.checkpoints.configs import config_from_json, config_to_json
from samcli.checkpoints.files import pickle_files, read_spots
from samcli.checkpoints.format import KINDS, build
from samcli.checkpoints.language_models import language_config, phi_config, published_language, rename_language
from samcli.checkpoints.safety import Spot, check_sizes, member, parse_json, read_json, regular_size, shown
from samcli.checkpoints.tensors import MappedWeights, fill
from samcli.errors import ModelError
from samcli.models.encoders.base import Encoder
from samcli.models.encoders.registry import ENCODERS, recognise
from samcli.models.layouts import hub_labels, same_numbers
from samcli.models.sam import SamNetwork

LANGUAGES: dict[str, Any] = {"language": language_config, "phi": phi_config}
LABELS_LIMIT = 2**20  # bytes of labels.json


class LoadedModule(NamedTuple):
    """A module with what a model needs to know about it."""

    kind: str
    module: nn.Module
    config: Any
    labels: tuple[str, ...]  # of its head; empty without one


def load_folder(folder: Path, *, dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> LoadedModule:
    """The module in `folder`, its weights in `dtype` (None: as stored) on `device`, in evaluation mode."""
    headers = read_spots(folder)
    if not headers:
        raise ModelError(_no_weights(folder))
    path = folder / "config.json"
    data = read_json(member(folder, "config.json")) if path.exists() or path.is_symlink() else {}
    check_sizes(data, (spot for spots in headers.values() for spot in spots.values()), path)
    source = MappedWeights(headers)
    return assemble(folder, data, source.tensors, dtype=dtype, device=device, source=source)


def assemble(
    where: Path,
    data: dict[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    source: MappedWeights | None = None,
) -> LoadedModule:
    """A module from tensors under any known names, and what the config beside them says."""
    kind = None if is_ours(data) else published_kind(data, tensors)
    if kind is None:
        kind, config = _our_config(where, data, tensors)
        module = build(kind, config)
        fill(module, tensors, dtype=dtype, device=device, where=where, source=source)
    else:
        config, ours = _published(kind, where, data, tensors)
        module = build(kind, config)
        fill(module, _reshaped(ours, module), dtype=dtype, device=device, where=where, source=source)
    return LoadedModule(kind, module, config, _labels(where, data, module))


def is_ours(data: Mapping[str, Any]) -> bool:
    """Whether a config.json is one of our dataclasses; the Hub has other ones with the model_types eat and dass."""
    kind = data.get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        return False
    if kind not in ENCODERS or ENCODERS[kind].published is None:
        return True
    return data.keys() - {"model_type"} <= {f.name for f in dataclasses.fields(ENCODERS[kind].config)}


def _our_config(where: Path, data: dict[str, Any], tensors: Mapping[str, Tensor]) -> tuple[str, Any]:
    kind = data.get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        what = f"the model_type {shown(kind)}" if kind is not None else "no model_type"
        names = ", ".join(shown(name) for name in list(tensors)[:3])
        raise ModelError(f"{where} has {what} and tensors like {names}: no layout that sam knows.")
    fields = {key: value for key, value in data.items() if key != "model_type"}
    return kind, config_from_json(KINDS[kind].config, fields, where / "config.json")


def published_kind(data: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str | None:
    """Which of our modules these tensors are for when their names are the authors', not ours."""
    language = published_language(data, tensors)
    if language is not None:
        return language
    kind = recognise(tensors)
    return None if kind is None else kind.name


def _published(
    kind: str, where: Path, data: dict[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[Any, dict[str, Tensor]]:
    published = ENCODERS[kind].published if kind in ENCODERS else None
    names = rename_language(tensors) if published is None else published.layout.rename(tensors)
    ours = {names[name]: tensor for name, tensor in tensors.items() if names[name]}
    if len(ours) != sum(1 for name in names.values() if name):
        raise ModelError(f"{where} holds the same tensor under two of its names.")
    try:
        shapes = {name: tuple(tensor.shape) for name, tensor in ours.items()}
        config: Any = LANGUAGES[kind](shapes, data, where) if published is None else published.config(shapes, data)
        if kind == "language" and config.tie_embeddings and _parted(ours):
            config = dataclasses.replace(config, tie_embeddings=False)
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
        raise ModelError(f"The shapes of the weights in {where} fit no {kind} model ({error}).") from None
    spots = [Spot("F32", tuple(tensor.shape), 0, 0) for tensor in tensors.values()]
    check_sizes(config_to_json(config), spots, where)
    return config, ours


def _parted(ours: Mapping[str, Tensor]) -> bool:
    """Whether a head is stored that is not the embedding, whatever the config says of ties."""
    head, embedding = ours.get("lm_head.weight"), ours["backbone.embedding.weight"]
    return head is not None and head.data_ptr() != embedding.data_ptr() and not torch.equal(head, embedding)


def _reshaped(ours: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Published tensors in our shapes, where only axes of size 1 or merged leading axes differ."""
    wanted = {name: tuple(slot.shape) for name, slot in module.state_dict().items()}
    return {
        name: tensor.reshape(wanted[name])
        if name in wanted and same_numbers(tuple(tensor.shape), wanted[name])
        else tensor
        for name, tensor in ours.items()
    }


def _labels(where: Path, data: dict[str, Any], module: nn.Module) -> tuple[str, ...]:
    """The names of the classes: from the folder, from the Hub's config, AudioSet's for its 527, or numbers."""
    classes = module.classes if isinstance(module, Encoder | SamNetwork) else 0
    path = where / "labels.json"
    if path.exists():
        regular_size(member(where, path.name))
        raw = path.read_bytes()[:LABELS_LIMIT]
        found = parse_json(b'{"labels": ' + raw + b"}", path, "it")["labels"]
        if isinstance(found, list) and len(found) == classes and all(isinstance(label, str) for label in found):
            return tuple(found)
        raise ModelError(f"{path} is not a list of {classes} names.")
    found = hub_labels(data)
    if len(found) == classes:
        return tuple(found)
    return audioset_labels() if classes == 527 else tuple(f"class {number}" for number in range(classes))


def audioset_labels() -> tuple[str, ...]:
    from samcli.text.labels import labels

    return labels()


def _no_weights(folder: Path) -> str:
    pickled = pickle_files(folder) if folder.is_dir() else []
    if pickled:
        return (
            f"{folder} has its weights only as pickles ({', '.join(pickled[:3])}), which can run code when opened. "
            f"To turn them into safetensors: sam models convert {folder} FOLDER"
        )
    return f"{folder} holds no weights (*.safetensors)."
