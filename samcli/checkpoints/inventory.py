"""What models there are - in the package, in the cache, in the catalogue - and taking them away again.

Pure functions that return rows for the command line; nothing here loads torch or asks the network, except `pull`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from samcli.checkpoints import catalogue
from samcli.checkpoints import hub_client as hub
from samcli.checkpoints.files import COMMIT, LOADABLE, cache_folder, cached_snapshot, is_whole, read_spots, repo_folder
from samcli.checkpoints.loading import is_adapter, locate
from samcli.checkpoints.safety import read_json, shown
from samcli.errors import ModelError


@dataclass(frozen=True)
class ModelRow:
    """One model, as `sam models list` shows it."""

    name: str  # what --model takes
    where: str  # bundled, cached or known
    tasks: tuple[str, ...]
    bytes: int | None  # on disk, or to be downloaded
    licence: str
    score: str  # as published: "AudioSet mAP 50.2"
    repo: str
    revision: str  # commit when cached
    note: str


@dataclass(frozen=True)
class ModelDetails:
    """What `sam models show` says of one model; what needs its files is empty when they are not here."""

    row: ModelRow
    folder: Path | None
    kind: str
    parameters: int | None
    dtypes: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    base: str = ""  # what an adapter was trained on, with its revision
    labels: tuple[str, ...] = ()  # that an adapter was taught


@dataclass(frozen=True)
class Removal:
    """What `sam models rm` removed, or would remove."""

    name: str
    paths: tuple[Path, ...]
    bytes: int
    done: bool


def list_models() -> list[ModelRow]:
    """Bundled, then the catalogue (cached entries say so), then whatever else of the cache sam could load."""
    rows = [_bundled()] if (catalogue.DATA / catalogue.DEFAULT / "config.json").exists() else []
    rows += [_catalogued(entry) for entry in catalogue.entries().values()]
    known = {entry.repo for entry in catalogue.entries().values()}
    rows += [_cached(repo, commit, folder) for repo, commit, folder in _snapshots() if repo not in known]
    return rows


def usable(rows: list[ModelRow]) -> list[ModelRow]:
    """Those that tag or speak as they are, the nearest first; not the parts that models are made of."""
    order = ("bundled", "cached", "known")
    found = [row for row in rows if row.tasks or (row.where == "cached" and catalogue.find(row.name) is None)]
    return sorted(found, key=lambda row: order.index(row.where))


def show_model(name: str) -> ModelDetails:
    """Everything known of one model without running it or asking the network."""
    row, folder = _find(name)
    if folder is None:
        entry = catalogue.find(name)
        return ModelDetails(row, None, entry.kind if entry else "", entry.parameters if entry else None, (), ())
    spots = [spot for spots in read_spots(folder).values() for spot in spots.values()]
    kind = read_json(folder / "config.json").get("model_type", "") if (folder / "config.json").exists() else ""
    entry = catalogue.find(name)
    adapter = _adapter(folder) if is_adapter(str(folder)) else None
    files = sorted((path.name, path.stat().st_size) for path in folder.iterdir() if path.is_file())
    return ModelDetails(
        row,
        folder,
        adapter.kind if adapter else entry.kind if entry else shown(kind)[1:-1],
        sum(spot.elements for spot in spots if spot.dtype.startswith(("F", "BF"))),
        tuple(sorted({spot.dtype for spot in spots})),
        tuple(files),
        adapter.base if adapter else "",
        adapter.labels if adapter else (),
    )


class _Adapter(NamedTuple):
    kind: str
    base: str
    labels: tuple[str, ...]


def _adapter(folder: Path) -> _Adapter:
    """What an adapter's description says, read without torch."""
    about = read_json(folder / "adapter.json")
    texts = [about.get(name) for name in ("kind", "base", "base_revision")]
    kind, base, revision = (text if isinstance(text, str) else "" for text in texts)
    rank = f", rank {about['rank']}" if kind != "head" and type(about.get("rank")) is int else ""
    labels = about.get("labels")
    names = tuple(label for label in labels if isinstance(label, str)) if isinstance(labels, list) else ()
    return _Adapter(f"adapter ({kind}{rank})", f"{base}, revision {revision}" if revision else base, names)


def model_path(name: str) -> Path:
    """The folder that holds a model's files on this disk; nothing is downloaded."""
    entry = catalogue.find(name)
    if entry is not None and entry.parts:
        raise ModelError(f"{name} is put together from {' and '.join(entry.parts.values())}; ask for their paths.")
    return locate(name, offline=True).folder


def pull_model(name: str, *, progress: bool = False) -> list[Path]:
    """Fetch a model's files as the Hub has them now; of one put together from parts, every part's."""
    if name == catalogue.DEFAULT:
        return [locate(name).folder]
    entry = catalogue.find(name)
    if entry is not None and entry.parts:
        return [path for part in entry.parts.values() for path in pull_model(part, progress=progress)]
    repo, revision = catalogue.split_revision(entry.repo if entry is not None and entry.repo else name)
    chosen = revision or (entry.revision if entry is not None else "main")
    return [hub.pull(repo, chosen, progress=progress).folder]


def remove_model(name: str, *, dry_run: bool = False) -> Removal:
    """Take a model out of the Hub's cache, all its commits, or with org/name@revision that one alone."""
    if name == catalogue.DEFAULT:
        raise ModelError(f"{name} is part of this installation and cannot be removed.")
    entry = catalogue.find(name)
    if entry is not None and entry.repo is None:
        raise ModelError(f"{name} has no files of its own; remove {' or '.join(entry.parts.values())}.")
    if entry is None and Path(name).is_dir():
        raise ModelError(f"{name} is your own folder; sam removes only what it fetched into the cache.")
    repo, revision = catalogue.split_revision(entry.repo if entry is not None and entry.repo else name)
    root = repo_folder(repo)
    if not root.is_dir() or root.is_symlink():
        raise ModelError(f"{name} is not in the cache ({cache_folder()}).")
    if revision is not None:
        return _remove_revision(name, repo, revision, dry_run)
    paths = (root, *([locks] if (locks := root.parent / ".locks" / root.name).is_dir() else []))
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    if not dry_run:
        for path in paths:
            shutil.rmtree(path)
    return Removal(name, paths, size, not dry_run)


def _remove_revision(name: str, repo: str, revision: str, dry_run: bool) -> Removal:
    """One commit, with the blobs that no other commit shares, as the Hub's own client counts them."""
    from huggingface_hub import scan_cache_dir

    found = cached_snapshot(repo, revision)
    cached = scan_cache_dir(cache_folder())
    commits = {item.commit_hash for kept in cached.repos if kept.repo_id == repo for item in kept.revisions}
    commit = found.commit if found else revision
    if commit not in commits:
        raise ModelError(f"{repo} has no revision '{revision}' in the cache.")
    strategy = cached.delete_revisions(commit)
    paths = (*strategy.snapshots, *strategy.repos, *strategy.blobs)
    if not dry_run:
        strategy.execute()
    return Removal(name, tuple(sorted(paths)), strategy.expected_freed_size, not dry_run)


def _find(name: str) -> tuple[ModelRow, Path | None]:
    entry = catalogue.find(name)
    if entry is not None:
        found = cached_snapshot(entry.repo, entry.revision) if entry.repo else None
        return _catalogued(entry), found.folder if found else None
    if name == catalogue.DEFAULT:
        return _bundled(), locate(name).folder
    source = locate(name, offline=True)
    size = _folder_bytes(source.folder)
    where = "cached" if source.snapshot else "folder"
    repo = source.snapshot.repo if source.snapshot else ""
    return ModelRow(name, where, (), size, "", "", repo, source.revision, ""), source.folder


def _bundled() -> ModelRow:
    source = locate(catalogue.DEFAULT)
    size = _folder_bytes(source.folder)
    tasks = ("tag", "caption", "ask")
    return ModelRow(source.name, "bundled", tasks, size, "Apache-2.0", "", "", source.revision, "The default.")


def _catalogued(entry: catalogue.Entry) -> ModelRow:
    found = cached_snapshot(entry.repo, entry.revision) if entry.repo else None
    score = f"{entry.score.metric} {entry.score.value}" if entry.score else ""
    size = _folder_bytes(found.folder) if found else entry.bytes
    if entry.parts:
        parts = [catalogue.entries()[part] for part in entry.parts.values()]
        size = sum(part.bytes or 0 for part in parts)
        whole = all(part.repo and cached_snapshot(part.repo, part.revision) for part in parts)
        return ModelRow(
            entry.name, "cached" if whole else "known", entry.tasks, size, entry.licence, score, "", "", entry.note
        )
    where, revision = ("cached", found.commit) if found else ("known", entry.revision)
    return ModelRow(entry.name, where, entry.tasks, size, entry.licence, score, entry.repo or "", revision, entry.note)


def _cached(repo: str, commit: str, folder: Path) -> ModelRow:
    return ModelRow(repo, "cached", (), _folder_bytes(folder), "", "", repo, commit, "")


def _snapshots() -> Iterator[tuple[str, str, Path]]:
    """Every whole snapshot on a branch or tag in the cache that looks like a model of ours."""
    for root in sorted(cache_folder().glob("models--*--*")):
        repo = root.name.removeprefix("models--").replace("--", "/", 1)
        refs = [ref for ref in (root / "refs").rglob("*") if ref.is_file()]
        for commit in sorted({ref.read_text(encoding="utf-8").strip() for ref in refs}):
            folder = root / "snapshots" / commit
            if COMMIT.fullmatch(commit) and is_whole(folder) and _is_loadable(folder):
                yield repo, commit, folder


def _is_loadable(folder: Path) -> bool:
    try:
        return read_json(folder / "config.json").get("model_type") in LOADABLE
    except ModelError:
        return False


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
