"""The models sam knows by name: what each can do, how large it is, its licence and its published score.

The facts live in one file, samcli/data/catalogue.json; nothing here touches the network or loads torch.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from samcli.errors import ModelError

DATA = Path(__file__).parent.parent / "data"
DEFAULT = "sam-nano"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)  # org/name as the Hub allows it
REVISION = re.compile(r"\w[\w./-]{0,199}", re.ASCII)


@dataclass(frozen=True)
class Score:
    metric: str
    value: float


@dataclass(frozen=True)
class Entry:
    """One published model."""

    name: str  # what a person types
    kind: str  # architecture: dass, eat, ssamba, language, phi, sam
    tasks: tuple[str, ...]  # what it can do by itself, of tag, caption, ask
    licence: str
    repo: str | None = None  # org/name on the Hub
    revision: str = "main"
    format: str = "safetensors"  # or pickle (needs sam models convert) or parts (put together from other entries)
    parameters: int | None = None
    bytes: int | None = None  # of its weights on the Hub, rounded
    score: Score | None = None
    config: dict[str, Any] = field(default_factory=dict)  # the sizes that tell it from others of its kind
    tokenizer: str | None = None  # the Hub id that holds its tokenizer, when its own does not
    parts: dict[str, str] = field(default_factory=dict)  # role to catalogue name
    note: str = ""


@cache
def entries() -> dict[str, Entry]:
    """Every known model by name, in the order of the file."""
    listed = json.loads((DATA / "catalogue.json").read_text(encoding="utf-8"))["models"]
    found = (Entry(**{**item, "tasks": tuple(item["tasks"]), "score": _score(item)}) for item in listed)
    return {entry.name: entry for entry in found}


def _score(item: dict[str, Any]) -> Score | None:
    return Score(**item["score"]) if item.get("score") else None


def find(name: str) -> Entry | None:
    """The entry of that name or Hub id."""
    if name in entries():
        return entries()[name]
    return next((entry for entry in entries().values() if entry.repo == name), None)


def suggest(name: str) -> str:
    """A sentence that names the closest known models, or the way to list them."""
    close = difflib.get_close_matches(name.lower(), [DEFAULT, *entries()], n=2, cutoff=0.6)
    return f"Did you mean {' or '.join(close)}?" if close else "sam models list shows the known ones."


def split_revision(name: str) -> tuple[str, str | None]:
    """`org/name@revision` as its two parts; refuses ids and revisions that could never name a place on the Hub."""
    repo, marked, revision = name.partition("@")
    if not REPOSITORY.fullmatch(repo) or ".." in repo or "--" in repo:
        raise ModelError(f"'{name}' is not a model name, a folder or a Hub id (org/name). {suggest(name)}")
    if not marked:
        return repo, None
    if not REVISION.fullmatch(revision) or ".." in revision or "//" in revision or revision.endswith("/"):
        raise ModelError(f"'{revision}' cannot be a revision of {repo}.")
    return repo, revision
