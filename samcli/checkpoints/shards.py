"""Which files of a folder hold its weights, and what lies where in them; no tensor is read, torch is not needed."""

from __future__ import annotations

from pathlib import Path

from samcli.checkpoints.safety import DamagedFile, Spot, member, read_header, read_json, shown
from samcli.errors import ModelError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, from its index when it has one."""
    if (folder / INDEX).exists():
        return [member(folder, name) for name in sorted(set(read_index(folder).values()), key=str)]
    if (folder / WEIGHTS).exists() or (folder / WEIGHTS).is_symlink():
        return [member(folder, WEIGHTS)]
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if len(others) == 1:
        return [member(folder, others[0])]
    return []


def read_index(folder: Path) -> dict[str, str]:
    """Tensor name to file name; every file is proved to be a plain name inside `folder`."""
    path = member(folder, INDEX)
    places = read_json(path).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise DamagedFile(path, "it maps no weights")
    for name in places.values():
        if not member(folder, name).name.endswith(".safetensors"):
            raise ModelError(f"{path} names {shown(name)}, which is not a safetensors file.")
    return places


def read_spots(folder: Path) -> dict[Path, dict[str, Spot]]:
    """The header of every weight file; no tensor may be in two, and the index may promise none that is in none."""
    headers = {path: read_header(path) for path in weight_files(folder)}
    seen: dict[str, Path] = {}
    for path, spots in headers.items():
        for name in spots:
            if name in seen:
                raise DamagedFile(path, f"the tensor {shown(name)} is also in {seen[name].name}")
            seen[name] = path
    if (folder / INDEX).exists():
        for name, place in read_index(folder).items():
            if name not in headers[folder / place]:
                raise DamagedFile(folder / place, f"it lacks the tensor {shown(name)} that the index places there")
    return headers
