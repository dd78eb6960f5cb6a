"""The program: its commands, and the one place where every ending becomes an exit code and at most one sentence."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]
from typer.core import TyperGroup

from samcli._version import __version__
from samcli.cli import signals
from samcli.cli.commands.bench import bench
from samcli.cli.commands.calibrate import calibrate
from samcli.cli.commands.doctor import doctor
from samcli.cli.commands.embed import duplicates, embed
from samcli.cli.commands.evaluate import evaluate
from samcli.cli.commands.index import index
from samcli.cli.commands.labels import labels
from samcli.cli.commands.listen import ask, caption, merge, tag, transcribe
from samcli.cli.commands.models import models
from samcli.cli.commands.report import plot, report
from samcli.cli.commands.search import search
from samcli.cli.commands.serve import mcp, serve
from samcli.cli.commands.subtitle import subtitle
from samcli.cli.commands.summary import summary
from samcli.cli.completion import completion
from samcli.cli.flags import ShortHelp, switch
from samcli.cli.live.live import LiveCommand, live
from samcli.cli.live.watch import watch
from samcli.cli.output import ClosedPipe, Output, output
from samcli.cli.train.app import train
from samcli.errors import ExitCode, SamError

CONTEXT = {"help_option_names": ["-h", "--help"]}


class Program(TyperGroup):
    """Click takes an EOFError for a person who closed a prompt; we never ask, so it is a fault like any other."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise RuntimeError(f"unexpected end of data: {error}".rstrip(": ")) from error


app = typer.Typer(
    name="sam",
    cls=Program,
    context_settings=CONTEXT,
    no_args_is_help=True,
    add_completion=False,  # `sam completion` prints our own scripts, and no rc file is edited behind anyone's back
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def show_version(wanted: bool) -> None:
    if wanted:
        output().write(f"sam {__version__}\n")
        raise typer.Exit


@app.callback()
def sam(
    version: Annotated[bool, switch("Version.", "--version", callback=show_version, is_eager=True)] = False,
) -> None:
    """Listen to sound and write down what is heard.

    [bold]sam caption[/bold] recordings/
    [bold]sam tag[/bold] *.wav -o tags.csv
    [bold]sam ask[/bold] "is there a siren?" street.flac
    """


LISTEN, LOOK, FIND, SERVE = "Listen", "Look", "Find", "For other programs"
MANAGE, BUILD = "Look after", "Measure and teach"
for command in (caption, tag, ask):
    app.command(cls=ShortHelp, no_args_is_help=True, rich_help_panel=LISTEN)(command)
app.command(cls=LiveCommand, rich_help_panel=LISTEN)(live)
app.command(no_args_is_help=True, rich_help_panel=LISTEN)(watch)
for command in (subtitle, transcribe):
    app.command(no_args_is_help=True, rich_help_panel=LISTEN)(command)
for command in (report, plot, summary):
    app.command(no_args_is_help=True, rich_help_panel=LOOK)(command)
for command in (search, index, embed, duplicates):
    app.command(no_args_is_help=True, rich_help_panel=FIND)(command)
app.command(rich_help_panel=FIND)(labels)
for command in (serve, mcp):
    app.command(rich_help_panel=SERVE)(command)
for command in (doctor, merge):
    app.command(no_args_is_help=command is merge, rich_help_panel=MANAGE)(command)
app.add_typer(models, rich_help_panel=MANAGE)
app.command(no_args_is_help=True, rich_help_panel=MANAGE)(completion)
app.command(no_args_is_help=True, rich_help_panel=BUILD)(bench)
app.command(no_args_is_help=True, rich_help_panel=BUILD)(calibrate)
app.command("eval", no_args_is_help=True, rich_help_panel=BUILD)(evaluate)
app.add_typer(train, rich_help_panel=BUILD)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the program on these arguments, or on this process's; the exit code."""
    signals.install()
    streams = output()
    before = sys.stdout
    try:
        code = _call(arguments, streams)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    if signals.received is not None:
        code = 128 + signals.received
        streams.error(streams.farewell)
    elif sys.stdout is not before:
        # Typer met it, and put a muffled stream in place.
        code = ExitCode.CLOSED_PIPE
    if code == ExitCode.CLOSED_PIPE or not _flushed():
        _muffle()
        code = code or ExitCode.OUTPUT
    streams.clear_status()
    return int(code)


def _call(arguments: Sequence[str] | None, streams: Output) -> int:
    try:
        completion_init()
        app(arguments, prog_name="sam")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Rich met it while it printed help
            return ExitCode.CLOSED_PIPE
        return end.code if isinstance(end.code, int) else ExitCode.OK
    except ClosedPipe:
        return ExitCode.CLOSED_PIPE
    except SamError as error:
        _trace(streams)
        streams.error(str(error))
        return error.exit_code
    except Exception as error:
        if signals.received is None:
            _trace(streams)
            words = f"{type(error).__name__}: {error}"
            hint = "" if streams.traceback else " Run again with --traceback to see where, and please report it."
            streams.error(f"This should not have happened: {words.rstrip('.')}.{hint}")
        return ExitCode.FAILED
    return ExitCode.OK


def _trace(streams: Output) -> None:
    if streams.traceback:
        streams.trace(traceback.format_exc())


def _flushed() -> bool:
    """Whether standard output takes what is left for it; the interpreter's last flush would fail again."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True


def _muffle() -> None:
    """Let the interpreter's last flush of standard output go nowhere instead of failing loudly."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
