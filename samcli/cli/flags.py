"""The options that commands share, each written once.

A command takes one dataclass of flags; `spread` shows its fields to Typer as if they were the command's own parameters.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from samcli.cli.completion import (
    complete_device,
    complete_dtype,
    complete_engine,
    complete_format,
    complete_labels,
    complete_model,
)
from samcli.cli.help import HelpAll

INPUT, OUTPUT, ACT, MODEL, MACHINE = "What to hear", "What to write", "What to do", "Model", "Machine"
PANELS = (None, INPUT, OUTPUT, ACT, MODEL, MACHINE)

Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda or mps.",
        metavar="DEVICE",
        envvar="SAM_DEVICE",
        autocompletion=complete_device,
        rich_help_panel=MACHINE,
    ),
]
Recursive = Annotated[
    bool,
    typer.Option("--recursive/--no-recursive", help="Subfolders, too.", metavar="", rich_help_panel=INPUT),
]
Glob = Annotated[
    list[str] | None,
    typer.Option(help="Pattern of file names in folders.", metavar="PATTERN", rich_help_panel=INPUT),
]
Raw = Annotated[
    str | None,
    typer.Option(help="Bare samples: s16le:16000:1 and such.", metavar="KIND:RATE:CHANNELS", rich_help_panel=INPUT),
]
StartTime = Annotated[
    str | None, typer.Option(help="When the recording began. [from its name]", metavar="TIME", rich_help_panel=INPUT)
]
TimeZone = Annotated[
    str | None, typer.Option(help="Of times without one. [this computer's]", metavar="ZONE", rich_help_panel=INPUT)
]
Segment = Annotated[
    float | None,
    typer.Option(help="Seconds of each record.", metavar="SECONDS", rich_help_panel=OUTPUT),
]
TopK = Annotated[int | None, typer.Option(help="Most tags of a record. [5]", metavar="N", rich_help_panel=OUTPUT)]
Threshold = Annotated[
    str | None,
    typer.Option(help="Lowest score shown, or auto. [0.1]", metavar="SCORE", rich_help_panel=OUTPUT),
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Labels to consider: a,b,c or a file.",
        metavar="LABELS",
        autocompletion=complete_labels,
        rich_help_panel=OUTPUT,
    ),
]
SafeCells = Annotated[
    bool,
    typer.Option(
        "--safe-cells/--raw-cells",
        help="Protection from spreadsheet formulas in CSV.",
        metavar="",
        rich_help_panel=OUTPUT,
    ),
]
Timeline = Annotated[
    bool, typer.Option("--timeline", help="Events with start and end.", metavar="", rich_help_panel=OUTPUT)
]


@dataclass(kw_only=True)
class TalkFlags:
    """How much the program says beside its results."""

    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Errors alone.", metavar="")] = False
    verbose: Annotated[bool, typer.Option("--verbose", help="More messages.", metavar="")] = False
    traceback: Annotated[bool, typer.Option("--traceback", help="Traceback of errors.", metavar="")] = False


@dataclass(kw_only=True)
class JsonFlags(TalkFlags):
    """For commands that show a small table."""

    json: Annotated[bool, typer.Option("--json", help="JSON for programs.", metavar="")] = False


@dataclass(kw_only=True)
class InputFlags(TalkFlags):
    """Which sounds."""

    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATHS", help="Files, folders, or - for standard input.", show_default=False),
    ] = None
    recursive: Recursive = True
    glob: Glob = None
    files_from: Annotated[
        str | None, typer.Option(help="List of names, one per line (-: stdin).", metavar="FILE", rich_help_panel=INPUT)
    ] = None
    files0_from: Annotated[
        str | None,
        typer.Option("--files0-from", help="List of names ended by zero bytes.", metavar="FILE", rich_help_panel=INPUT),
    ] = None


@dataclass(kw_only=True)
class ModelFlags(TalkFlags):
    """Which model, and where it runs."""

    model: Annotated[
        str,
        typer.Option(
            help="A name, a folder, or a Hub id.",
            metavar="NAME",
            envvar="SAM_MODEL",
            autocompletion=complete_model,
            rich_help_panel=MODEL,
        ),
    ] = "sam-nano"
    offline: Annotated[
        bool, typer.Option("--offline", help="No use of the network.", metavar="", rich_help_panel=MODEL)
    ] = False
    device: Device = "auto"
    dtype: Annotated[
        str,
        typer.Option(
            help="auto, float32, bfloat16, float16.",
            metavar="TYPE",
            autocompletion=complete_dtype,
            rich_help_panel=MACHINE,
        ),
    ] = "auto"


@dataclass(kw_only=True)
class WriteFlags(TalkFlags):
    """Where records go."""

    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="jsonl, json, csv, tsv, txt, srt, vtt, audacity.",
            metavar="FORMAT",
            autocompletion=complete_format,
            rich_help_panel=OUTPUT,
        ),
    ] = None
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="Output file, or DIR/ for one per input.", metavar="FILE", rich_help_panel=OUTPUT
        ),
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Continuation of a stopped run.", metavar="", rich_help_panel=OUTPUT)
    ] = False
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End at the first bad input.", metavar="", rich_help_panel=OUTPUT)
    ] = False
    safe_cells: SafeCells = True


@dataclass(kw_only=True)
class ListenFlags(ModelFlags, InputFlags, WriteFlags):
    """What caption, tag and ask have in common."""

    help_all: HelpAll = False
    raw: Raw = None
    segment: Segment = None
    seed: Annotated[int, typer.Option(help="Random seed.", rich_help_panel=MODEL)] = 0
    batch_size: Annotated[
        str, typer.Option(help="Windows of a batch, or auto.", metavar="N", rich_help_panel=MACHINE)
    ] = "auto"
    threads: Annotated[
        int, typer.Option(help="Decoding threads; 0: automatic.", metavar="N", rich_help_panel=MACHINE)
    ] = 0
    decoders: Annotated[
        str, typer.Option(help="Processes that decode ahead, or auto.", metavar="N", rich_help_panel=MACHINE)
    ] = "auto"
    engine: Annotated[
        str,
        typer.Option(help="local or ray.", metavar="NAME", autocompletion=complete_engine, rich_help_panel=MACHINE),
    ] = "local"
    ray_address: Annotated[
        str | None,
        typer.Option(help="Address of a cluster; default: a local one.", metavar="ADDRESS", rich_help_panel=MACHINE),
    ] = None
    workers: Annotated[
        int | None, typer.Option(help="Number of models; default: all that fit.", metavar="N", rich_help_panel=MACHINE)
    ] = None
    gpus_per_worker: Annotated[
        float | None, typer.Option(help="GPU share of each worker.", metavar="F", rich_help_panel=MACHINE)
    ] = None
    shard: Annotated[
        str | None, typer.Option(help="Share of the inputs, such as 2/8.", metavar="I/N", rich_help_panel=MACHINE)
    ] = None
    start_time: StartTime = None
    time_zone: TimeZone = None
    unordered: Annotated[
        bool,
        typer.Option("--unordered", help="Records in the order of completion.", metavar="", rich_help_panel=MACHINE),
    ] = False


@dataclass(kw_only=True)
class SpeakFlags(ListenFlags):
    """What the commands that speak have in common."""

    max_new_tokens: Annotated[
        int, typer.Option(help="Longest text, in tokens.", metavar="N", rich_help_panel=MODEL)
    ] = 48
    beams: Annotated[
        int | None,
        typer.Option(help="Width of the beam search (sam-nano: 2).", metavar="N", rich_help_panel=MODEL),
    ] = None


@dataclass(kw_only=True)
class CaptionFlags(SpeakFlags):
    """What `sam caption` alone has."""

    refine: Annotated[
        bool, typer.Option("--refine", help="Best of several captions; slower.", metavar="", rich_help_panel=MODEL)
    ] = False
    refine_with: Annotated[
        str | None, typer.Option(help="Folder of a CLAP model as judge.", metavar="FOLDER", rich_help_panel=MODEL)
    ] = None


@dataclass(kw_only=True)
class TagFlags(ListenFlags):
    """What `sam tag` alone has."""

    top_k: TopK = None
    threshold: Threshold = None
    labels: Labels = None
    timeline: Timeline = False
    all_events: Annotated[
        bool, typer.Option("--all", help="Every event of a timeline, unmerged.", metavar="", rich_help_panel=OUTPUT)
    ] = False


Flags = TypeVar("Flags", bound=TalkFlags)


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
        from samcli.cli.output import output

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
