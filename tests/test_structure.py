"""The shape of the house: no import circle, rooms that only look down, folders and files that fit in a head."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "samcli").rglob("*.py"))
MOST_FILES, MOST_LINES = 16, 300

# From the ground up. A room may use what stands before it and itself; imports at the top, inside functions and for
# types alone count alike.
ROOMS = (
    "_version", "errors", "records", "writers", "text", "audio", "ssm", "models", "checkpoints", "digest", "questions",
    "answers", "engine", "tasks", "live", "api", "report", "subtitle", "serving",
    "training", "evaluation", "bench", "cli", "launcher", "__init__", "__main__",
)  # fmt: skip


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


def imports(path: Path) -> Iterator[str]:
    """Every module of ours that a file names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            whole = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in whole)


GRAPH = {name: set(imports(path)) - {name} for name, path in MODULES.items()}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Modules that reach each other: what is left when those that nobody needs, or that need nobody, are taken away."""
    left = {name: set(needs) for name, needs in graph.items()}
    while True:
        needed = set().union(*left.values())
        outer = {name for name, needs in left.items() if not needs & left.keys() or name not in needed}
        if not outer:
            return [set(left)] if left else []
        left = {name: needs - outer for name, needs in left.items() if name not in outer}


def test_no_module_reaches_itself() -> None:
    assert circles(GRAPH) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]  # it would be seen


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_look_down(room: str) -> None:
    above = set(ROOMS[ROOMS.index(room) + 1 :]) - ({"api", "records"} if room == "__init__" else set())
    seen = {(name, used) for name, needs in GRAPH.items() if room_of(name) == room for used in needs}
    assert [pair for pair in sorted(seen) if room_of(pair[1]) in above] == []


def test_every_room_has_its_place() -> None:
    assert {room_of(name) for name in MODULES} == set(ROOMS)


def test_folders_and_files_fit_in_a_head() -> None:
    folders: dict[Path, int] = {}
    for path in FILES:
        folders[path.parent] = folders.get(path.parent, 0) + 1
    assert {str(folder): count for folder, count in folders.items() if count > MOST_FILES} == {}
    lines = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}
