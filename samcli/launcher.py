"""Where `sam`, `samcli` and `python -m samcli` begin: is the `samcli` that Python finds this one?

aws-sam-cli installs a module `samcli` and a script `sam` too. In one environment the two overwrite each other's files,
and whichever lost may start with half of its own modules missing. So a wheel puts this file beside the package, as
`samcli_launcher.py`, where it still runs when all of `samcli` is somebody else's. It imports nothing of ours before it
knows.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

MARK = "__sound__"  # an attribute of our `samcli/__init__.py` that no other package of this name has


def main() -> NoReturn:
    """Run the program, or say in one sentence why it cannot run."""
    problem = foreign_samcli()
    if problem is not None:
        sys.stderr.write(f"sam: {problem}\n")
        sys.exit(1)
    try:
        from samcli.cli import main as run

        code = run()
    except KeyboardInterrupt:  # before the program has taken over the signals
        code = 130
    sys.exit(code)


def foreign_samcli() -> str | None:
    """One sentence when the module `samcli` is not this one, otherwise None."""
    advice = "Install this program by itself, for example with: pipx install samcli"
    try:
        spec = importlib.util.find_spec("samcli")
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return f"The Python package samcli is not there, or only its remains are. {advice}."
    places = list(spec.submodule_search_locations or [spec.origin or "an unknown place"])
    if spec.origin is None or not spec.submodule_search_locations:
        return f"The samcli at {places[0]!a} is only the remains of a package, or is none. {advice}."
    try:
        ours = MARK in Path(spec.origin).read_text(encoding="utf-8", errors="replace")
    except OSError:
        ours = False
    if ours and _whole(places[0]):
        return None
    name = "aws-sam-cli" if Path(places[0], "hook_packages").is_dir() else "another package"
    return f"The samcli at {places[0]!a} belongs to {name}, which hides this one. {advice}."


def _whole(folder: str) -> bool:
    """Whether the command line in this folder is ours: another package may have replaced single files of it."""
    try:
        return "def main" in Path(folder, "cli", "__init__.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
