"""Our folder format: config.json, model.safetensors (in shards above 5 GB), tokenizer.json, README.md.

Saving writes a folder aside and renames it into place, so a reader sees the old model or the new one, never half of
each. Loading builds the model without memory, holds every name and shape against the files, and only then reads.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from samcli.checkpoints.configs import blueprint, config_from_json, config_to_json
from samcli.checkpoints.files import INDEX, WEIGHTS, read_spots
from samcli.checkpoints.safety import check_sizes, member, read_json, shown
from samcli.checkpoints.tensors import MappedWeights, fill
from samcli.errors import ModelError
from samcli.models.encoders.registry import ENCODERS
from samcli.models.sam import SamConfig, SamNetwork
from samcli.models.speech import SpeechConfig, SpeechNetwork
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.language.phi import PhiConfig, PhiLanguageModel
from samcli.writers.disk import put_back, put_in_place, sync_folder

SHARD_BYTES = 5_000_000_000


class Kind(NamedTuple):
    """What a model_type stands for."""

    config: type[Any]
    module: type[nn.Module]


KINDS = {
    "sam": Kind(SamConfig, SamNetwork),
    "language": Kind(LanguageConfig, LanguageModel),
    "phi": Kind(PhiConfig, PhiLanguageModel),
    "speech": Kind(SpeechConfig, SpeechNetwork),
    **{kind.name: Kind(kind.config, kind.encoder) for kind in ENCODERS.values()},
}


def build(kind: str, config: Any) -> nn.Module:
    """The module of that kind: names and shapes, no memory."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of sizes of zero, which the weights will not fit anyway
            return blueprint(KINDS[kind].module, config)
    except (RuntimeError, ValueError, TypeError, AssertionError, ArithmeticError, LookupError) as error:
        why = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise ModelError(f"The sizes in the config describe no model of the kind {kind} ({why}).") from None


def kind_of(config: Any) -> str:
    """The model_type of a config dataclass."""
    for kind, entry in KINDS.items():
        if type(config) is entry.config:
            return kind
    raise TypeError(f"{type(config).__name__} is the config of no kind of model")


def load_module(folder: Path, *, dtype: torch.dtype | None = None) -> tuple[nn.Module, Any]:
    """The module and its config from a folder in our format."""
    path = member(folder, "config.json")
    data = read_json(path)
    kind = data.pop("model_type", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(f"{path} has the model_type {shown(kind)}, which this version of sam does not know.")
    headers = read_spots(folder)
    if not headers:
        raise ModelError(f"{folder} holds no weights ({WEIGHTS}).")
    check_sizes(data, (spot for spots in headers.values() for spot in spots.values()), path)
    config = config_from_json(KINDS[kind].config, data, path)
    module = build(kind, config)
    weights = MappedWeights(headers)
    fill(module, weights.tensors, dtype=dtype, device="cpu", where=folder, source=weights)
    return module, config


def save_module(
    folder: Path,
    module: nn.Module,
    config: Any,
    *,
    tokenizer: Path | None = None,
    card: str = "",
    dtype: torch.dtype | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write `module` as a folder in our format, replacing one that is there."""
    tensors = untied(module.state_dict(keep_vars=True))
    with replaced(folder) as aside:
        write_json(aside / "config.json", {"model_type": kind_of(config), **config_to_json(config)})
        write_weights(aside, tensors, dtype=dtype, shard_bytes=shard_bytes)
        if tokenizer is not None:
            shutil.copyfile(tokenizer, aside / "tokenizer.json")
        if card:
            (aside / "README.md").write_text(card, encoding="utf-8")


def untied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each parameter once: of tied names the first is stored, and the model ties them again."""
    seen: dict[int, str] = {}
    return {name: tensor.detach() for name, tensor in tensors.items() if seen.setdefault(id(tensor), name) == name}


def write_weights(
    folder: Path, tensors: Mapping[str, Tensor], *, dtype: torch.dtype | None = None, shard_bytes: int = SHARD_BYTES
) -> None:
    """model.safetensors, or shards and their index when the tensors are larger than one shard."""
    from safetensors.torch import save_file

    def cast(tensor: Tensor) -> Tensor:
        target = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        return tensor.to("cpu", target).contiguous()

    def size(tensor: Tensor) -> int:
        return tensor.numel() * (dtype.itemsize if dtype and tensor.is_floating_point() else tensor.element_size())

    shards: list[list[str]] = [[]]
    filled = 0
    for name, tensor in tensors.items():
        if shards[-1] and filled + size(tensor) > shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size(tensor)
    if len(shards) == 1:
        save_file({name: cast(tensor) for name, tensor in tensors.items()}, folder / WEIGHTS, {"format": "pt"})
        return
    places = {}
    for number, names in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file({name: cast(tensors[name]) for name in names}, folder / file, {"format": "pt"})
        places.update(dict.fromkeys(names, file))
    total = sum(size(tensor) for tensor in tensors.values())
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": places})


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


class replaced:
    """`with replaced(folder) as aside:` fills a folder aside, then puts it in place of `folder`, or leaves no trace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def __enter__(self) -> Path:
        put_back(self.folder)
        if self.folder.exists() and not (self.folder.is_dir() and _is_ours(self.folder)):
            raise ModelError(f"{self.folder} already exists and is not a model; name another folder.")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.aside = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}.", dir=self.folder.parent))
        return self.aside

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            shutil.rmtree(self.aside, ignore_errors=True)
            return
        for path in _files(self.aside):
            with path.open("r+b") as file:
                os.fsync(file.fileno())
        self.aside.chmod(0o777 & ~_umask())  # mkdtemp makes private folders; a model is as public as its neighbours
        sync_folder(self.aside)
        put_in_place(self.aside, self.folder)


def _is_ours(folder: Path) -> bool:
    return (folder / "config.json").exists() or not any(folder.iterdir())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.is_file())


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
