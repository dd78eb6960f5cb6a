"""`sam index`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from samcli.cli.flags import OUTPUT, InputFlags, ModelFlags, option, spread, switch
from samcli.cli.listen import named
from samcli.cli.output import output
from samcli.cli.resolve import inputs_of, load_here
from samcli.errors import ExitCode, UsageError


@dataclass(kw_only=True)
class IndexFlags(ModelFlags, InputFlags):
    index: Annotated[str | None, option("Index file. [FOLDER/.sam-index.sqlite]", "FILE", panel=OUTPUT)] = None
    keep: Annotated[bool, switch("No removal of files not named.", "--keep", panel=OUTPUT)] = False


@spread
def index(flags: IndexFlags) -> ExitCode:
    """Make or refresh the index of a folder, so that it can be searched without being heard again.

    sam index recordings/
    sam search "a dog barking in the rain" recordings/
    sam index archive/ more/ --index all.sqlite

    Only what is new or changed is heard; what is gone is forgotten. It may be stopped at any moment.
    """
    from samcli.engine.index.store import Index

    streams = output()
    name = flags.index or own_index(flags.paths or [])
    inputs = inputs_of(flags)
    if any(item.source is not None for item in inputs):
        raise UsageError("Standard input has no place on disk to find it again: an index holds files.")
    streams.farewell = "stopped; what was heard is in the index, and the same command goes on."

    def progress(done: int) -> None:
        streams.status(f"{done}/{len(inputs)} files")

    model = load_here(flags)
    with Index(name, model, named=flags.index is not None) as base:
        changes = base.update(inputs, model, progress, forget=not flags.keep)
        windows = len(base)
    for path, problem in changes.problems:
        streams.error(named(path, problem))
    failed = f", {len(changes.problems)} cannot be heard" if changes.problems else ""
    streams.note(f"heard {changes.heard}, kept {changes.kept}, forgot {changes.forgotten} files{failed}.")
    streams.detail(f"{windows} windows are in {name}.")
    streams.write(f"{name}\n")
    return ExitCode.FAILED if changes.problems else ExitCode.OK


def own_index(paths: list[str]) -> str:
    """The index inside the one folder that is named."""
    from samcli.engine.index.store import NAME

    if len(paths) != 1 or not Path(paths[0]).is_dir():
        missing = next((path for path in paths if path != "-" and not Path(path).exists()), None)
        if missing is not None:
            raise UsageError(f"There is no file or folder named {missing!r}.")
        raise UsageError("An index lies in the one folder it is of; for files or several folders say --index FILE.")
    return str(Path(paths[0], NAME))
