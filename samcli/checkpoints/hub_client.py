"""From a Hub id to a folder on this disk, through huggingface_hub's client and its cache.

What the cache holds whole is used without any call; `offline` and HF_HUB_OFFLINE allow no call at all. A download
takes config, tokenizer and safetensors, in that order, and records the branch only when all of it is there, so that a
cut one is never mistaken for a whole one. Every failure is one sentence, a ModelError.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samcli.checkpoints import catalogue
from samcli.checkpoints.files import (
    COMMIT,
    INDEX,
    WEIGHTS,
    Snapshot,
    cache_folder,
    cached_snapshot,
    is_offline,
    read_index,
    repo_folder,
)
from samcli.checkpoints.hub_transfer import (
    SPARE,
    RemoteFile,
    blob_name,
    damaged_files,
    discard,
    fetch_file,
    is_transport,
    plain_name,
    with_retries,
)
from samcli.checkpoints.safety import PICKLES
from samcli.errors import ModelError
from samcli.writers.disk import own_file

PICKLE_INDEX = "pytorch_model.bin.index.json"
SMALL_FILES = (
    "config.json", "preprocessor_config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "adapter_config.json", "labels.json", "calibration.json", PICKLE_INDEX,
)  # fmt: skip


def resolve(name: str, *, offline: bool = False, progress: bool = False) -> Snapshot:
    """The folder of `org/name[@revision]`: from the cache when whole there, else downloaded."""
    repo, revision = catalogue.split_revision(name)
    if revision is None:
        entry = catalogue.find(repo)
        revision = entry.revision if entry else "main"
    found = cached_snapshot(repo, revision)
    if found is not None:
        return found
    if offline or is_offline():
        raise ModelError(
            f"{name} is not in the cache ({cache_folder()}), and offline no model is fetched. "
            f"Once connected, run: sam models pull {name}"
        )
    return pull(repo, revision, progress=progress)


def pull(repo: str, revision: str = "main", *, progress: bool = False, pickles: bool = False) -> Snapshot:
    """Fetch what the Hub has now under that revision, whatever the cache holds; damaged cached files are replaced.

    `pickles` fetches pickled weights when there are no others: for conversion alone, never for loading.
    """
    with _sentences(repo, revision):
        if is_offline():
            raise ModelError(f"{repo} cannot be pulled while HF_HUB_OFFLINE is set.")
        commit, listed = _listing(repo, revision)
        folder = repo_folder(repo) / "snapshots" / commit
        for name in damaged_files(folder, listed):
            discard(folder / name)
        small = [file for file in listed if file.name in SMALL_FILES]
        _check_space(repo, small, folder)
        for file in small:
            fetch_file(repo, commit, file)
        weights = _weights(repo, commit, listed, pickles)
        _check_space(repo, weights, folder)
        for file in weights:
            fetch_file(repo, commit, file, progress)
        if not COMMIT.fullmatch(revision):
            _record(repo_folder(repo) / "refs" / revision, commit)
        return Snapshot(repo, commit, folder)


def pull_file(repo: str, name: str) -> Path:
    """One small file of a repository whose weights are not wanted."""
    with _sentences(repo, "main"):
        commit, listed = _listing(repo, "main")
        for file in listed:
            if file.name == name:
                return fetch_file(repo, commit, file)
        raise ModelError(f"{repo} has no {name}.")


def replace_damaged(snapshot: Snapshot, path: Path, *, progress: bool = False) -> Snapshot:
    """Fetch one cached file again, once, after reading it has shown it to be damaged."""
    discard(snapshot.folder / path.name)
    return pull(snapshot.repo, snapshot.commit, progress=progress)


def _listing(repo: str, revision: str) -> tuple[str, list[RemoteFile]]:
    from huggingface_hub import HfApi, constants

    quiet_client()
    try:
        info = with_retries(
            lambda: HfApi().model_info(
                repo, revision=revision, files_metadata=True, timeout=float(constants.HF_HUB_ETAG_TIMEOUT)
            )
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:  # a page, or other JSON
        raise ModelError(
            f"{constants.ENDPOINT} does not answer like the Hub when asked for {repo}: "
            "check HF_ENDPOINT and your network's proxy."
        ) from error
    if not isinstance(info.sha, str) or not COMMIT.fullmatch(info.sha):
        raise ModelError(f"The Hub's answer for {repo} names no commit; check HF_ENDPOINT.")
    files = []
    for item in info.siblings or []:
        name = str(item.rfilename)
        if "/" in name:  # other formats live in folders; none is ours
            continue
        size = item.size if type(item.size) is int and item.size >= 0 else None
        files.append(RemoteFile(name, size, _hash(item.lfs.sha256 if item.lfs else item.blob_id)))
    return info.sha, files


def _hash(value: Any) -> str | None:
    """A hash as it is written; None for what is none."""
    return value if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value) else None


def _weights(repo: str, commit: str, listed: list[RemoteFile], pickles: bool) -> list[RemoteFile]:
    """The weight files to fetch: the sharded set, the one file, or whatever safetensors there are."""
    by_name = {file.name: file for file in listed}
    if INDEX in by_name:
        index = fetch_file(repo, commit, by_name[INDEX])
        names = sorted(set(read_index(index.parent).values()))
        absent = [name for name in names if name not in by_name]
        if absent:
            raise ModelError(f"{repo} lacks {absent[0]}, which its own index names.")
    elif WEIGHTS in by_name:
        names = [WEIGHTS]
    else:
        names = sorted(plain_name(name) for name in by_name if name.endswith(".safetensors"))
    if names and "config.json" in by_name:
        return [by_name[name] for name in names]
    pickled = sorted(plain_name(name) for name in by_name if name.endswith(PICKLES))
    if names:
        raise ModelError(f"{repo} has no config.json, so there is no telling what its weights are.")
    if pickles and pickled:
        chosen = [name for name in pickled if name.startswith("pytorch_model")] or pickled
        if len(chosen) > 1 and PICKLE_INDEX not in by_name:
            raise ModelError(
                f"{repo} holds several models ({', '.join(pickled[:4])}): fetch one and give its path to convert."
            )
        return [by_name[name] for name in chosen]
    if pickled:
        raise ModelError(
            f"{repo} has its weights only as pickles ({', '.join(pickled[:3])}), which can run code when opened. "
            f"To turn them into safetensors: sam models convert {repo} FOLDER"
        )
    raise ModelError(f"{repo} holds no weights (*.safetensors).")


def _check_space(repo: str, files: list[RemoteFile], folder: Path) -> None:
    blobs = folder.parent.parent / "blobs"
    needed = 0
    for file in files:
        if not (folder / file.name).exists():
            partial = blobs / f"{blob_name(folder.name, file)}.incomplete"
            needed += (file.size or 0) - (partial.stat().st_size if partial.exists() else 0)
    place = next(path for path in (blobs, *blobs.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed > 0 and needed + SPARE > free:
        raise ModelError(
            f"{repo} needs {readable(needed)} on disk, and {place} has {readable(free)} free. "
            "Make room, or set HF_HOME to a folder on another disk."
        )


def readable(size: float) -> str:
    """Bytes for people: 516 MB, 5.4 GB."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _record(ref: Path, commit: str) -> None:
    if ref.is_file() and ref.read_text(encoding="utf-8") == commit:
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    aside = ref.with_name(f".{ref.name}.{os.getpid()}")
    with own_file(aside, "w", encoding="utf-8") as file:
        file.write(commit)
    aside.replace(ref)


def quiet_client() -> None:
    """The client keeps to what was asked of it: no words on stderr past whoever owns it, and no word to the Hub about
    this machine. What matters of its warnings becomes our sentence."""
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    constants.HF_HUB_DISABLE_TELEMETRY = True
    if not {"HF_HUB_VERBOSITY", "HF_DEBUG"} & os.environ.keys():
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]


@contextmanager
def _sentences(repo: str, revision: str) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        sentence = _sentence(error, repo, revision)
        if sentence is None:
            raise
        raise ModelError(sentence) from error


def _sentence(error: BaseException, repo: str, revision: str) -> str | None:
    """What happened and what to do, for every way the Hub, the network or the disk can fail; None for a bug of ours."""
    from huggingface_hub import constants, errors

    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status == 401 and "Invalid credentials" in str(error):
        return f"{constants.ENDPOINT} does not accept your token; log in again with `hf auth login`, or unset HF_TOKEN."
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return (
            f"{repo} is gated: ask for access at {constants.ENDPOINT}/{repo}, "
            "then log in with `hf auth login` or set HF_TOKEN."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision '{revision}'."
    if isinstance(error, errors.EntryNotFoundError):
        return f"{repo} no longer has a file that it lists; try again."
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
        return (
            f"There is no model {repo} on {constants.ENDPOINT}, or it is private: "
            f"then log in with `hf auth login` or set HF_TOKEN. {catalogue.suggest(repo)}"
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repo} is not in the cache, and HF_HUB_OFFLINE allows no download."
    if status == 429:
        again = re.sub(r"\D", "", response.headers.get("Retry-After", "")) or "60"
        return f"{constants.ENDPOINT} asks for fewer requests (429); try again in {again} seconds."
    if status is not None:
        return f"{constants.ENDPOINT} cannot serve {repo} now ({status}); what has arrived is kept, so try again later."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1)):
        return f"The disk with {cache_folder()} is full; make room, or set HF_HOME to a folder on another disk."
    if is_transport(error):
        return (
            f"No connection to {constants.ENDPOINT} ({type(error).__name__}), and {repo} is not whole in the cache; "
            "what has arrived is kept, so try again when connected."
        )
    if isinstance(error, OSError):
        return f"{repo} cannot be stored in {cache_folder()} ({error.strerror or error})."
    return None
