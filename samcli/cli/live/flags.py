"""The options of `sam live`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from samcli.cli.flags import ACT, INPUT, OUTPUT, Labels, ModelFlags, Raw


@dataclass(kw_only=True)
class LiveFlags(ModelFlags):
    """For `sam live`."""

    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Show the inputs of this machine.", metavar="", rich_help_panel=INPUT)
    ] = False
    input: Annotated[
        str | None, typer.Option(help="A microphone by name or number.", metavar="NAME", rich_help_panel=INPUT)
    ] = None
    realtime: Annotated[
        str | None,
        typer.Option(help="A file at its own pace.", metavar="[=FACTOR]", rich_help_panel=INPUT),
    ] = None
    raw: Raw = None
    labels: Labels = None
    threshold: Annotated[
        str | None, typer.Option(help="Lowest score of an event. [auto]", metavar="SCORE", rich_help_panel=OUTPUT)
    ] = None
    captions_every: Annotated[
        float | None, typer.Option(help="A caption every so often.", metavar="SECONDS", rich_help_panel=OUTPUT)
    ] = None
    changes: Annotated[
        bool,
        typer.Option("--changes", help="Only what differs from the background.", metavar="", rich_help_panel=OUTPUT),
    ] = False
    all_events: Annotated[
        bool, typer.Option("--all", help="Every label as it is found.", metavar="", rich_help_panel=OUTPUT)
    ] = False
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Add JSON lines to a file.", metavar="FILE", rich_help_panel=OUTPUT),
    ] = None
    state: Annotated[
        str | None, typer.Option(help="Keep the hearing; go on from it.", metavar="FILE", rich_help_panel=OUTPUT)
    ] = None
    state_every: Annotated[
        float, typer.Option(help="How often the hearing is kept.", metavar="SECONDS", rich_help_panel=OUTPUT)
    ] = 60.0
    exec: Annotated[
        str | None, typer.Option("--exec", help="Run at each event.", metavar="COMMAND", rich_help_panel=ACT)
    ] = None
    exec_on: Annotated[str, typer.Option(help="begin, end or both.", metavar="WHEN", rich_help_panel=ACT)] = "begin"
    exec_at_once: Annotated[int, typer.Option(help="Commands at once, at most.", metavar="N", rich_help_panel=ACT)] = 4
    save: Annotated[
        str | None, typer.Option(help="Keep the sound around events.", metavar="FOLDER", rich_help_panel=ACT)
    ] = None
    save_limit: Annotated[
        str, typer.Option(help="Size beyond which old clips go.", metavar="SIZE", rich_help_panel=ACT)
    ] = "1G"
    mqtt: Annotated[
        str | None, typer.Option(help="Events to a broker.", metavar="mqtt://HOST/TOPIC", rich_help_panel=ACT)
    ] = None


class LiveCommand(TyperCommand):
    """A command whose --realtime may stand without its factor, which Typer's options cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--realtime=1" if word == "--realtime" else word for word in args])
