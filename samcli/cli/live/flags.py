"""The options of `sam live`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from typer.core import TyperCommand

from samcli.cli.flags import ACT, INPUT, OUTPUT, Labels, ModelFlags, Raw, option, switch


@dataclass(kw_only=True)
class LiveFlags(ModelFlags):
    """For `sam live`."""

    list_devices: Annotated[bool, switch("Show the inputs of this machine.", "--list-devices", panel=INPUT)] = False
    input: Annotated[str | None, option("A microphone by name or number.", "NAME", panel=INPUT)] = None
    realtime: Annotated[str | None, option("A file at its own pace.", "[=FACTOR]", panel=INPUT)] = None
    raw: Raw = None
    labels: Labels = None
    threshold: Annotated[str | None, option("Lowest score of an event. [auto]", "SCORE", panel=OUTPUT)] = None
    captions_every: Annotated[float | None, option("A caption every so often.", "SECONDS", panel=OUTPUT)] = None
    changes: Annotated[bool, switch("Only what differs from the background.", "--changes", panel=OUTPUT)] = False
    all_events: Annotated[bool, switch("Every label as it is found.", "--all", panel=OUTPUT)] = False
    output: Annotated[
        str | None, option("Add JSON lines to a file.", "FILE", names=("--output", "-o"), panel=OUTPUT)
    ] = None
    state: Annotated[str | None, option("Keep the hearing; go on from it.", "FILE", panel=OUTPUT)] = None
    state_every: Annotated[float, option("How often the hearing is kept.", "SECONDS", panel=OUTPUT)] = 60.0
    exec: Annotated[str | None, option("Run at each event.", "COMMAND", names=("--exec",), panel=ACT)] = None
    exec_on: Annotated[str, option("begin, end or both.", "WHEN", panel=ACT)] = "begin"
    exec_at_once: Annotated[int, option("Commands at once, at most.", "N", panel=ACT)] = 4
    save: Annotated[str | None, option("Keep the sound around events.", "FOLDER", panel=ACT)] = None
    save_limit: Annotated[str, option("Size beyond which old clips go.", "SIZE", panel=ACT)] = "1G"
    mqtt: Annotated[str | None, option("Events to a broker.", "mqtt://HOST/TOPIC", panel=ACT)] = None


class LiveCommand(TyperCommand):
    """A command whose --realtime may stand without its factor, which Typer's options cannot."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--realtime=1" if word == "--realtime" else word for word in args])
