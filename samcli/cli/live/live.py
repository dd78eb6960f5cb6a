"""`sam live`"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from samcli.cli.destination import Destination
from samcli.cli.flags import ACT, INPUT, OUTPUT, Labels, ModelFlags, Raw, option, spread, switch
from samcli.cli.live.view import View
from samcli.cli.output import Output, output
from samcli.cli.resolve import load_here, read_labels, threshold_of
from samcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from samcli.live.capture import Source
    from samcli.live.clips import Clips
    from samcli.live.listener import Listener, LiveOptions
    from samcli.live.session import Lines, Outlet


@dataclass(kw_only=True)
class LiveFlags(ModelFlags):
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


ON = {"begin": ("begin",), "end": ("end",), "both": ("begin", "end")}


@spread
def live(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="A file, an address, - or nothing: the microphone.", show_default=False),
    ] = None,
    *,
    flags: LiveFlags,
) -> ExitCode:
    """Listen as long as it lasts, and tell each event when it begins and when it is over.

    sam live
    sam live rtsp://camera/stream --labels "Glass,Smoke detector, smoke alarm" --exec ./alarm.sh
    sam live --state day.state -o day.jsonl
    """
    if flags.list_devices:
        return list_devices(output())
    streams = output()
    with loading():
        options, factor = _options(flags), _factor(flags.realtime)
        check(streams, source, flags)
        from samcli.live.listener import Listener
        from samcli.live.session import Lines, Session, StateFile

        model = load_here(flags)
        place = open_source(streams, source, flags, factor, model.sample_rate)
        listener = Listener(model, options, place.name)
        listener.ear.warm_up()
    name = Destination(flags.output).name
    lines = None if name is None else Lines(name)
    state = None if flags.state is None else StateFile(flags.state, listener, lines, flags.state_every)
    clips = _clips(flags, model.sample_rate)
    view = View(streams, listener, shown=lines is None)
    session = Session(
        place, listener, _outlets(flags, listener, lines, view), state=state, clips=clips, remark=view.remark,
        watch=view.watch,
    )  # fmt: skip
    streams.farewell = _farewell(flags)
    streams.clear_status()
    try:
        with view:
            session.listen()
    finally:
        session.close()
    return ExitCode.OK


@contextmanager
def loading() -> Iterator[None]:
    """What is loaded stays: looking for garbage in it took a sixth of the time, and each later look would take more."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def check(streams: Output, source: str | None, flags: LiveFlags) -> None:
    """Refuse what cannot work, before the model is loaded."""
    from samcli.live.stream import is_address

    if flags.exec_on not in ON:
        raise UsageError(f"--exec-on is {', '.join(ON)}, not {flags.exec_on!r}.")
    if flags.state_every <= 0:
        raise UsageError(f"--state-every must be more than 0, not {flags.state_every:g}.")
    if flags.exec_at_once < 1:
        raise UsageError(f"--exec-at-once must be at least 1, not {flags.exec_at_once}.")
    if source is None:
        from samcli.live.microphone import device_named

        device_named(flags.input)
    elif flags.input is not None:
        raise UsageError("--input chooses a microphone: leave out the SOURCE.")
    elif is_address(source):
        if flags.offline:
            raise UsageError("--offline uses no network, and the source is an address.")
        if flags.realtime:
            raise UsageError("--realtime is for files: an address has a pace of its own.")
    elif source == "-" and streams.stdin_is_terminal:
        raise UsageError("Standard input is a terminal: pipe something into it, or name a file instead of '-'.")
    elif source != "-" and not Path(source).is_file():
        raise UsageError(f"There is no file named {source!r}; an address begins like rtsp:// or http://.")


def open_source(streams: Output, source: str | None, flags: LiveFlags, factor: float | None, rate: int) -> Source:
    """The place the flags name."""
    from samcli.audio.pcm import RawSound
    from samcli.engine.inputs.find import Input
    from samcli.live.stream import Address, Recording, is_address

    if source is None:
        from samcli.live.microphone import Microphone, device_named

        return Microphone(device_named(flags.input), rate)
    if is_address(source):
        return Address(source, rate)
    raw = None if flags.raw is None else RawSound.parse(flags.raw)
    return Recording(
        Input(source, source, None, source, streams.stdin if source == "-" else None, raw=raw), rate, factor
    )


def list_devices(streams: Output) -> ExitCode:
    from samcli.live.microphone import devices

    for one in devices():
        mark = "\tdefault" if one.default else ""
        streams.write(f"{one.number}\t{one.name}\t{one.channels} channels, {one.rate} Hz{mark}\n")
    return ExitCode.OK


def _options(flags: LiveFlags) -> LiveOptions:
    from samcli.live.listener import LiveOptions

    return LiveOptions(
        read_labels(flags.labels), threshold_of(flags.threshold), flags.captions_every, flags.changes, flags.all_events
    )


def _factor(text: str | None) -> float | None:
    try:
        factor = None if text is None else float(text)
    except ValueError:
        factor = 0.0
    if factor is not None and not 0 < factor < float("inf"):
        raise UsageError(f"--realtime is a factor such as --realtime=8, not {text!r}.")
    return factor


def _clips(flags: LiveFlags, rate: int) -> Clips | None:
    from samcli.live.clips import Clips, size_of

    return None if flags.save is None else Clips(flags.save, size_of(flags.save_limit), rate)


def _outlets(flags: LiveFlags, listener: Listener, lines: Lines | None, view: Outlet) -> list[Outlet]:
    """Lines come first: what is acted on was written down."""
    outlets: list[Outlet] = [view if lines is None else lines]
    if flags.exec is not None:
        from samcli.live.outlets import Commands

        outlets.append(Commands(flags.exec, ON[flags.exec_on], flags.exec_at_once))
    if flags.mqtt is not None:
        from samcli.live.outlets import Mqtt

        asked = listener.choice.asked if flags.labels else ()
        outlets.append(Mqtt(flags.mqtt, tuple(listener.choice.labels[place] for place in asked), listener.name))
    return outlets


def _farewell(flags: LiveFlags) -> str:
    if flags.state is None:
        return "stopped listening."
    return f"stopped listening; the same command goes on from {os.fspath(flags.state)}."
