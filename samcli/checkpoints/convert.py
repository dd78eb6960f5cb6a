"""`sam models convert SRC DST`: published weights, pickles included, as a folder in our format.

Pickles are opened with weights_only=True, which refuses everything but tensors and plain containers; nothing of
theirs is run.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from samcli.checkpoints import catalogue
from samcli.checkpoints import hub_client as hub
from samcli.checkpoints.files import (
    TOKENIZER,
    Snapshot,
    is_offline,
    pickle_files,
    read_spots,
    tokenizer_file,
    weight_files,
)
from samcli.checkpoints.format import save_module, write_json
from samcli.checkpoints.modules import LoadedModule, assemble, audioset_labels, load_folder
from samcli.checkpoints.safety import DamagedFile, member, read_json, regular_size, shown
from samcli.errors import ModelError

MOST_NAMES = 4  # of one number in memory: tied weights have two
INSIDE = ("model", "state_dict", "module", "model_state_dict")  # where training programs keep the weights of a .pth


class Conversion(NamedTuple):
    """What was made, for the command line to say."""

    source: str
    folder: Path
    kind: str
    parameters: int
    tokenizer: bool


def convert(
    source: str, target: Path, *, dtype: torch.dtype | None = None, offline: bool = False, progress: bool = False
) -> Conversion:
    """Write what `source` (a folder, a weight file, a catalogue name or a Hub id) holds to the folder `target`."""
    folder, file = _fetched(source, offline, progress)
    if file is not None:
        data = _config_beside(folder)
        loaded = assemble(folder, data, read_pickle(file), dtype=dtype)
    elif not weight_files(folder) and (pickles := _whole_set(folder)):
        tensors: dict[str, Tensor] = {}
        for path in pickles:
            tensors.update(read_pickle(path))
        loaded = assemble(folder, _config_beside(folder), tensors, dtype=dtype)
    else:
        loaded = load_folder(folder, dtype=dtype)
    tokenizer = tokenizer_file(folder) or _tokenizer_elsewhere(source, loaded, offline)
    save_module(target, loaded.module, loaded.config, tokenizer=tokenizer, card=_card(source, loaded))
    if loaded.labels and loaded.labels != audioset_labels():
        write_json(target / "labels.json", list(loaded.labels))
    read_spots(target)  # what was written is proved like any stranger's file
    parameters = sum(parameter.numel() for parameter in loaded.module.parameters())
    return Conversion(source, target, loaded.kind, parameters, tokenizer is not None)


def read_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of a torch checkpoint, by name; whatever else it holds is refused or left out."""
    regular_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles; what cannot be read is said below
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path} holds more than tensors, and opening it could run code, so it stays closed. "
            "Ask its authors for safetensors."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # the unpickler meets garbage with errors of every kind
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise DamagedFile(path, f"it is not a torch checkpoint ({why})") from None
    for _ in range(3):  # {"model": {"state_dict": ...}} and the like
        inside = (loaded.get(key) for key in INSIDE) if isinstance(loaded, Mapping) else ()
        inner = next((value for value in inside if _is_table(value)), None)
        if inner is None:
            break
        loaded = inner
    if not _is_table(loaded):
        raise ModelError(f"{path} holds no table of tensors.")
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    _check_storage(path, tensors)
    return tensors


def _check_storage(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse views that make much of little: a few bytes in a file can claim to be any number of numbers."""
    asked: dict[int, int] = {}
    for name, tensor in tensors.items():
        try:
            storage = tensor.untyped_storage()
        except (RuntimeError, NotImplementedError):
            raise DamagedFile(path, f"the tensor {shown(name)} is of an unusual kind ({tensor.layout})") from None
        if tensor.nbytes > storage.nbytes():
            raise DamagedFile(
                path, f"the tensor {shown(name)} claims {tensor.numel()} numbers and has {storage.nbytes()} bytes"
            )
        asked[storage.data_ptr()] = asked.get(storage.data_ptr(), 0) + tensor.nbytes
        if asked[storage.data_ptr()] > MOST_NAMES * storage.nbytes():
            raise DamagedFile(path, f"it gives the same numbers many names, {shown(name)} among them")


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(item, Tensor | Mapping) for item in value.values())


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _fetched(source: str, offline: bool, progress: bool) -> tuple[Path, Path | None]:
    """The folder of the source, and the one weight file when the source is a file."""
    path = Path(source).expanduser()
    if path.is_dir():
        return path, None
    if path.is_file():
        return path.parent, path
    entry = catalogue.find(source)
    name = entry.repo if entry is not None and entry.repo else source
    repo, revision = catalogue.split_revision(name)
    if offline or is_offline():
        return hub.resolve(name, offline=True).folder, None
    snapshot: Snapshot = hub.pull(repo, revision or "main", progress=progress, pickles=True)
    return snapshot.folder, None


def _whole_set(folder: Path) -> list[Path]:
    """The pickles that together are one model: those of an index, or the only one."""
    if (folder / hub.PICKLE_INDEX).exists():
        places = read_json(member(folder, hub.PICKLE_INDEX)).get("weight_map")
        if not isinstance(places, dict):
            raise DamagedFile(folder / hub.PICKLE_INDEX, "it maps no weights")
        return [member(folder, name) for name in sorted(set(map(str, places.values())))]
    names = pickle_files(folder)
    if "pytorch_model.bin" in names:
        names = ["pytorch_model.bin"]
    if len(names) > 1:
        raise ModelError(f"{folder} holds several models ({', '.join(names[:4])}); name the file to convert.")
    return [member(folder, name) for name in names]


def _config_beside(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    return read_json(member(folder, "config.json")) if path.exists() else {}


def _tokenizer_elsewhere(source: str, loaded: LoadedModule, offline: bool) -> Path | None:
    """The tokenizer of a language model whose own repository has none, from where the catalogue says."""
    entry = catalogue.find(source)
    if loaded.kind != "language" or entry is None or entry.tokenizer is None or offline or is_offline():
        return None
    return hub.pull_file(entry.tokenizer, TOKENIZER)


def _card(source: str, loaded: LoadedModule) -> str:
    entry = catalogue.find(source)
    licence = f"Licence of the weights: {entry.licence}.\n" if entry else ""
    sizes = ", ".join(f"{key} {value}" for key, value in list(asdict(loaded.config).items())[:4])
    made = f"Converted by `sam models convert` from {shown(source)[1:-1]}."
    return f"# {Path(source).name}\n\n{made}\n{loaded.kind}: {sizes}.\n{licence}"
