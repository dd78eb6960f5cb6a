"""The files of a model folder: its weights, what lies where in them, its tokenizer. No tensor is read.

Folders also lie in the Hub's cache, whose layout is huggingface_hub's own (refs, snapshots, blobs), so that models are
shared with every other program that uses it. A snapshot counts as whole when its config and all its weight files are
there; downloads fetch the weights last, so nothing else can be lacking then. No network is used here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from samcli.checkpoints.safety import PICKLES, DamagedFile, Spot, member, read_header, read_json, regular_size, shown
from samcli.errors import ModelError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_LIMIT = 64 * 2**20  # bytes; the largest published ones are below 20 MiB


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


def tokenizer_file(folder: Path) -> Path | None:
    """The folder's tokenizer.json, if it has one that may be read."""
    if not (folder / TOKENIZER).exists():
        return None
    path = member(folder, TOKENIZER)
    if regular_size(path) > TOKENIZER_LIMIT:
        raise DamagedFile(path, f"it is larger than {TOKENIZER_LIMIT // 2**20} MiB")
    return path


def read_tokenizer(path: Path) -> Any:
    """A tokenizers.Tokenizer; a file that is none is damaged, whatever the parser makes of it."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except BaseException as error:  # the parser is another language's: its panics are not Exceptions
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise DamagedFile(path, f"it is not a tokenizer ({str(error)[:120]})") from None


def vocabulary_size(folder: Path) -> int | None:
    """How many tokens the folder's tokenizer knows, added ones included."""
    path = tokenizer_file(folder)
    return None if path is None else int(read_tokenizer(path).get_vocab_size(with_added_tokens=True))


# The model_types, ours and the Hub's, that are worth listing among what the cache holds.
LOADABLE = frozenset(
    {"sam", "nano", "dass", "eat", "ssamba", "aum", "language", "phi", "mamba", "mamba2", "falcon_mamba", "speech"}
)
COMMIT = re.compile(r"[0-9a-f]{40}")


class Snapshot(NamedTuple):
    """One commit of one repository, on this disk."""

    repo: str
    commit: str
    folder: Path


def cache_folder() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids every call."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def repo_folder(repo: str) -> Path:
    return cache_folder() / f"models--{repo.replace('/', '--')}"


def cached_snapshot(repo: str, revision: str = "main") -> Snapshot | None:
    """The whole snapshot of that branch, tag or commit (full or its first 7 letters or more), or None."""
    root = repo_folder(repo)
    commit = revision
    if (root / "refs" / revision).is_file():
        commit = (root / "refs" / revision).read_text(encoding="utf-8").strip()
    elif re.fullmatch(r"[0-9a-f]{7,39}", revision):
        commits = [path.name for path in (root / "snapshots").glob(f"{revision}*")]
        commit = commits[0] if len(commits) == 1 else revision
    if not COMMIT.fullmatch(commit):
        return None
    folder = root / "snapshots" / commit
    return Snapshot(repo, commit, folder) if is_whole(folder) else None


def is_whole(folder: Path) -> bool:
    """Whether config and weights are all there. Broken files count as there: reading them says what is wrong."""
    if not (folder / "config.json").is_file():
        return False
    try:
        files = weight_files(folder)
    except ModelError:
        return True
    return bool(files) and all(path.exists() for path in files)


def pickle_files(folder: Path) -> list[str]:
    """Names of the pickled weights in a folder, which are never opened by loading."""
    return sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
