"""The Hub's cache on this disk, read without any network: what is there, and whether it is whole.

The layout is huggingface_hub's own (refs, snapshots, blobs), so that models are shared with every other program that
uses it. A snapshot counts as whole when its config and all its weight files are there; downloads fetch the weights
last, so nothing else can be lacking then.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from samcli.checkpoints.files import weight_files
from samcli.checkpoints.safety import PICKLES
from samcli.errors import ModelError

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


def repo_folder(repo: str, cache: Path | None = None) -> Path:
    return (cache or cache_folder()) / f"models--{repo.replace('/', '--')}"


def cached_snapshot(repo: str, revision: str = "main", cache: Path | None = None) -> Snapshot | None:
    """The whole snapshot of that branch, tag or commit (full or its first 7 letters or more), or None."""
    root = repo_folder(repo, cache)
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
