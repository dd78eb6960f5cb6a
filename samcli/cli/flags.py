"""The options that commands share, each written once.

A command takes one dataclass of flags; `spread` shows its fields to Typer as if they were the command's own parameters.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperOption

from samcli.cli.completion import (
    complete_device,
    complete_dtype,
    complete_engine,
    complete_format,
    complete_labels,
    complete_model,
)
from samcli.cli.output import output

INPUT, OUTPUT, ACT, MODEL, MACHINE = "What to hear", "What to write", "What to do", "Model", "Machine"
PANELS = (None, INPUT, OUTPUT, ACT, MODEL, MACHINE)


def option(
    help: str, metavar: str | None = None, *, names: Sequence[str] = (), panel: str | None = None, **more: Any
) -> Any:
    """An option that takes a value."""
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, **more)


def switch(help: str, *names: str, panel: str | None = None, **more: Any) -> Any:
    """An option that is there or not."""
    return option(help, "", names=names, panel=panel, **more)


# Of caption, tag and ask: for clusters, for tuning a machine, for names no other list can hold.
RARE = frozenset(
    {"engine", "ray_address", "workers", "gpus_per_worker", "shard", "unordered", "batch_size", "threads", "dtype"}
    | {"decoders", "files0_from", "fail_fast", "safe_cells", "seed", "max_new_tokens", "beams", "refine_with"}
    | {"traceback", "time_zone"}
)


class ShortHelp(TyperCommand):
    """A command whose rare options are there, and completed, but not in its usual help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        rare = [option for option in self.params if isinstance(option, TyperOption) and option.name in RARE]
        for option in rare:
            option.hidden = not ctx.params.get("help_all")
        try:
            super().format_help(ctx, formatter)
        finally:
            for option in rare:
                option.hidden = False


def show_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.params["help_all"] = True
        typer.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


HelpAll = Annotated[bool, switch("Help with the rarer options.", "--help-all", callback=show_all, is_eager=True)]


Device = Annotated[
    str, option("auto, cpu, cuda or mps.", "DEVICE", panel=MACHINE, envvar="SAM_DEVICE", autocompletion=complete_device)
]
Recursive = Annotated[bool, switch("Subfolders, too.", "--recursive/--no-recursive", panel=INPUT)]
Glob = Annotated[list[str] | None, option("Pattern of file names in folders.", "PATTERN", panel=INPUT)]
Raw = Annotated[str | None, option("Bare samples: s16le:16000:1 and such.", "KIND:RATE:CHANNELS", panel=INPUT)]
StartTime = Annotated[str | None, option("When the recording began. [from its name]", "TIME", panel=INPUT)]
TimeZone = Annotated[str | None, option("Of times without one. [this computer's]", "ZONE", panel=INPUT)]
Segment = Annotated[float | None, option("Seconds of each record.", "SECONDS", panel=OUTPUT)]
TopK = Annotated[int | None, option("Most tags of a record. [5]", "N", panel=OUTPUT)]
Threshold = Annotated[str | None, option("Lowest score shown, or auto. [0.1]", "SCORE", panel=OUTPUT)]
Labels = Annotated[
    str | None, option("Labels to consider: a,b,c or a file.", "LABELS", panel=OUTPUT, autocompletion=complete_labels)
]
SafeCells = Annotated[
    bool, switch("Protection from spreadsheet formulas in CSV.", "--safe-cells/--raw-cells", panel=OUTPUT)
]
Timeline = Annotated[bool, switch("Events with start and end.", "--timeline", panel=OUTPUT)]


@dataclass(kw_only=True)
class TalkFlags:
    """How much the program says beside its results."""

    quiet: Annotated[bool, switch("Errors alone.", "--quiet", "-q")] = False
    verbose: Annotated[bool, switch("More messages.", "--verbose")] = False
    traceback: Annotated[bool, switch("Traceback of errors.", "--traceback")] = False


@dataclass(kw_only=True)
class JsonFlags(TalkFlags):
    """For commands that show a small table."""

    json: Annotated[bool, switch("JSON for programs.", "--json")] = False


@dataclass(kw_only=True)
class InputFlags(TalkFlags):
    """Which sounds."""

    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATHS", help="Files, folders, or - for standard input.", show_default=False),
    ] = None
    recursive: Recursive = True
    glob: Glob = None
    files_from: Annotated[str | None, option("List of names, one per line (-: stdin).", "FILE", panel=INPUT)] = None
    files0_from: Annotated[
        str | None, option("List of names ended by zero bytes.", "FILE", names=("--files0-from",), panel=INPUT)
    ] = None


@dataclass(kw_only=True)
class ModelFlags(TalkFlags):
    """Which model, and where it runs."""

    model: Annotated[
        str,
        option(
            "A name, a folder, or a Hub id.", "NAME", panel=MODEL, envvar="SAM_MODEL", autocompletion=complete_model
        ),
    ] = "sam-nano"
    offline: Annotated[bool, switch("No use of the network.", "--offline", panel=MODEL)] = False
    device: Device = "auto"
    dtype: Annotated[
        str, option("auto, float32, bfloat16, float16.", "TYPE", panel=MACHINE, autocompletion=complete_dtype)
    ] = "auto"


@dataclass(kw_only=True)
class WriteFlags(TalkFlags):
    """Where records go."""

    format: Annotated[
        str | None,
        option(
            "jsonl, json, csv, tsv, txt, srt, vtt, audacity.",
            "FORMAT",
            names=("--format", "-f"),
            panel=OUTPUT,
            autocompletion=complete_format,
        ),
    ] = None
    output: Annotated[
        str | None, option("Output file, or DIR/ for one per input.", "FILE", names=("--output", "-o"), panel=OUTPUT)
    ] = None
    resume: Annotated[bool, switch("Continuation of a stopped run.", "--resume", panel=OUTPUT)] = False
    fail_fast: Annotated[bool, switch("End at the first bad input.", "--fail-fast", panel=OUTPUT)] = False
    safe_cells: SafeCells = True


@dataclass(kw_only=True)
class ListenFlags(ModelFlags, InputFlags, WriteFlags):
    """What caption, tag and ask have in common."""

    help_all: HelpAll = False
    raw: Raw = None
    segment: Segment = None
    seed: Annotated[int, option("Random seed.", panel=MODEL)] = 0
    batch_size: Annotated[str, option("Windows of a batch, or auto.", "N", panel=MACHINE)] = "auto"
    threads: Annotated[int, option("Decoding threads; 0: automatic.", "N", panel=MACHINE)] = 0
    decoders: Annotated[str, option("Processes that decode ahead, or auto.", "N", panel=MACHINE)] = "auto"
    engine: Annotated[str, option("local or ray.", "NAME", panel=MACHINE, autocompletion=complete_engine)] = "local"
    ray_address: Annotated[
        str | None, option("Address of a cluster; default: a local one.", "ADDRESS", panel=MACHINE)
    ] = None
    workers: Annotated[int | None, option("Number of models; default: all that fit.", "N", panel=MACHINE)] = None
    gpus_per_worker: Annotated[float | None, option("GPU share of each worker.", "F", panel=MACHINE)] = None
    shard: Annotated[str | None, option("Share of the inputs, such as 2/8.", "I/N", panel=MACHINE)] = None
    start_time: StartTime = None
    time_zone: TimeZone = None
    unordered: Annotated[bool, switch("Records in the order of completion.", "--unordered", panel=MACHINE)] = False


@dataclass(kw_only=True)
class SpeakFlags(ListenFlags):
    """What the commands that speak have in common."""

    max_new_tokens: Annotated[int, option("Longest text, in tokens.", "N", panel=MODEL)] = 48
    beams: Annotated[int | None, option("Width of the beam search (sam-nano: 2).", "N", panel=MODEL)] = None


@dataclass(kw_only=True)
class CaptionFlags(SpeakFlags):
    """What `sam caption` alone has."""

    refine: Annotated[bool, switch("Best of several captions; slower.", "--refine", panel=MODEL)] = False
    refine_with: Annotated[str | None, option("Folder of a CLAP model as judge.", "FOLDER", panel=MODEL)] = None


@dataclass(kw_only=True)
class TagFlags(ListenFlags):
    """What `sam tag` alone has."""

    top_k: TopK = None
    threshold: Threshold = None
    labels: Labels = None
    timeline: Timeline = False
    all_events: Annotated[bool, switch("Every event of a timeline, unmerged.", "--all", panel=OUTPUT)] = False


def spread(command: Callable[..., Any]) -> Callable[..., None]:
    """A command whose last parameter is a dataclass of flags, as Typer wants it: one parameter per flag."""
    hints = get_type_hints(command, include_extras=True)
    *own, last = inspect.signature(command).parameters.values()
    kind: type[TalkFlags] = hints[last.name]
    flag_hints = get_type_hints(kind, include_extras=True)
    names = [field.name for field in dataclasses.fields(kind)]
    # The shared talk flags come first in the class but belong last in the help, whose panels have one order everywhere.
    talk = {field.name for field in dataclasses.fields(TalkFlags)}
    names.sort(key=lambda name: (name in talk, PANELS.index(flag_hints[name].__metadata__[0].rich_help_panel)))
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    parameters += [
        inspect.Parameter(name, keyword, default=defaults[name], annotation=flag_hints[name]) for name in names
    ]

    @functools.wraps(command)
    def run(**values: Any) -> None:

        flags = kind(**{name: values.pop(name) for name in names})
        streams = output()
        streams.quiet, streams.verbose = flags.quiet, flags.verbose
        streams.traceback = streams.traceback or flags.traceback
        code = command(**values, **{last.name: flags})
        if code:
            raise typer.Exit(int(code))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
