"""`sam models`"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from samcli.cli.completion import complete_dtype, complete_model
from samcli.cli.flags import JsonFlags, TalkFlags, option, spread, switch
from samcli.cli.output import output
from samcli.cli.tables import readable_size, show, show_json
from samcli.errors import ExitCode

models = typer.Typer(name="models", no_args_is_help=True, rich_markup_mode="rich")


@models.callback()
def about() -> None:
    """List, show, fetch, remove and convert models.

    sam models list
    sam models show dass-small
    sam models pull eat-base
    """


Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name, a folder, or a Hub id.", autocompletion=complete_model)
]


@dataclass(kw_only=True)
class FetchFlags(TalkFlags):
    """For what may use the network or the disk."""

    dry_run: Annotated[bool, switch("List of removals, without removing.", "--dry-run", "-n")] = False


@dataclass(kw_only=True)
class ListFlags(JsonFlags):
    all: Annotated[bool, switch("Parts of models, too.", "--all")] = False


@dataclass(kw_only=True)
class ConvertFlags(TalkFlags):
    dtype: Annotated[str, option("float32, bfloat16, float16.", autocompletion=complete_dtype)] = "float32"
    offline: Annotated[bool, switch("No use of the network.", "--offline")] = False


@models.command("list")
@spread
def list_models(flags: ListFlags) -> ExitCode:
    """List the models: bundled, in the cache, or known.

    sam models list
    sam models list --all
    sam models list --json
    """
    from samcli.checkpoints import inventory

    every = inventory.list_models()
    first = inventory.usable(every)
    others = [row for row in every if row not in first]
    rows = [asdict(row) for row in (*first, *(others if flags.all else ()))]
    if flags.json:
        show_json(output(), rows)
        return ExitCode.OK
    for row in rows:
        row["size"] = readable_size(row["bytes"])
    show(output(), ("name", "where", "tasks", "size", "licence", "score", "note"), rows, needed=4)
    if others and not flags.all:
        output().note(f"{len(others)} more are parts of models or have to be converted: sam models list --all")
    return ExitCode.OK


models.command("ls", hidden=True)(list_models)


@models.command("show", no_args_is_help=True)
@spread
def show_model(name: Name, flags: JsonFlags) -> ExitCode:
    """Show what is known of a model, without running it.

    sam models show sam-nano
    sam models show dass-small --json
    """
    from samcli.checkpoints import inventory

    details = asdict(inventory.show_model(name))
    row = details.pop("row")
    details["folder"] = None if details["folder"] is None else str(details["folder"])
    if flags.json:
        show_json(output(), row | details)
        return ExitCode.OK
    facts = row | details | {"size": readable_size(row["bytes"])}
    facts["files"] = [f"{file} ({readable_size(size)})" for file, size in details["files"]]
    names = (
        *("name", "where", "folder", "repo", "revision", "kind", "base", "labels"),
        *("tasks", "parameters", "dtypes", "size", "files"),
    )
    shown = [{"fact": key, "value": facts[key]} for key in (*names, "licence", "score", "note") if facts[key]]
    show(output(), ("fact", "value"), shown)
    return ExitCode.OK


@models.command("pull", no_args_is_help=True)
@spread
def pull(name: Name, flags: TalkFlags) -> ExitCode:
    """Fetch a model from the Hub into its cache.

    sam models pull dass-small
    sam models pull org/name@v1
    """
    from samcli.checkpoints import inventory

    streams = output()
    streams.note(f"fetching {name}")
    for folder in inventory.pull_model(name, progress=streams.shows_status):
        streams.write(f"{folder}\n")
    return ExitCode.OK


@models.command("rm", no_args_is_help=True)
@spread
def remove(name: Name, flags: FetchFlags) -> ExitCode:
    """Remove a model from the cache.

    sam models rm dass-small --dry-run
    sam models rm org/name@v1
    """
    from samcli.checkpoints import inventory

    removal = inventory.remove_model(name, dry_run=flags.dry_run)
    streams = output()
    for path in removal.paths:
        streams.write(f"{path}\n")
    verb = "freed" if removal.done else "would be freed"
    streams.note(f"{readable_size(removal.bytes)} {verb}.")
    return ExitCode.OK


@models.command("path", no_args_is_help=True)
@spread
def path(name: Name, flags: TalkFlags) -> ExitCode:
    """Print the folder that holds a model's files.

    sam models path sam-nano
    cd "$(sam models path dass-small)"
    """
    from samcli.checkpoints import inventory

    output().write(f"{inventory.model_path(name)}\n")
    return ExitCode.OK


@models.command("convert", no_args_is_help=True)
@spread
def convert(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A folder, weight file, name or Hub id.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Folder to write.")],
    flags: ConvertFlags,
) -> ExitCode:
    """Turn published weights, pickles included, into a folder of ours: config.json and safetensors.

    sam models convert dass-small-47.2 my-dass
    sam models convert ./checkpoint.pt my-model --dtype float16
    """
    import torch

    from samcli.checkpoints.convert import convert as converted
    from samcli.errors import UsageError

    if flags.dtype not in ("float32", "bfloat16", "float16"):
        raise UsageError(f"There is no --dtype {flags.dtype!r}: choose float32, bfloat16 or float16.")
    streams = output()
    made = converted(
        source, target, dtype=getattr(torch, flags.dtype), offline=flags.offline, progress=streams.shows_status
    )
    streams.note(f"{made.kind}, {made.parameters:,} parameters, from {made.source}.")
    streams.write(f"{made.folder}\n")
    return ExitCode.OK
