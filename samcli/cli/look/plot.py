"""`sam plot`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import OUTPUT, ModelFlags, option, spread, switch
from samcli.cli.output import output


@dataclass(kw_only=True)
class PlotFlags(ModelFlags):
    """For `sam plot`."""

    output: Annotated[
        Path | None, option("A .png, .svg or .pdf file.", "FILE", names=("--output", "-o"), panel=OUTPUT)
    ] = None
    start: Annotated[float, option("Where it begins.", "SECONDS", min=0)] = 0.0
    end: Annotated[float | None, option("Where it ends.", "SECONDS", min=0)] = None
    width: Annotated[float, option("Of the figure, in inches.", "INCHES", min=2, max=60)] = 10.0
    height: Annotated[float | None, option("The same; else as needed.", "INCHES", min=1, max=60)] = None
    dark: Annotated[bool, switch("Light on dark.", "--dark")] = False


@spread
def plot(
    sound: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    flags: PlotFlags,
) -> ExitCode:
    """Draw a recording: spectrogram, level, its events as lanes and what is heard, good enough for a paper.

    sam plot street.flac -o street.png
    sam plot night.flac --start 3600 --end 3660 -o minute.pdf
    sam plot street.flac --dark --width 7 -o slide.svg
    """
    from samcli.cli.destination import Destination
    from samcli.cli.engines import load_here
    from samcli.engine.inputs.find import find_inputs
    from samcli.engine.inputs.recorded_at import Clock
    from samcli.engine.options import RunOptions
    from samcli.engine.run import run
    from samcli.errors import InputError
    from samcli.report.entry import entries
    from samcli.report.everything import everything
    from samcli.report.plot import Look, check_figure, draw
    from samcli.writers.files import write_whole

    streams = output()
    target = flags.output or Path(sound.name).with_suffix(".png")
    check_figure(target)
    inputs = find_inputs([str(sound)])
    Destination(str(target)).check_file(item.path for item in inputs)
    if len(inputs) != 1:
        from samcli.errors import UsageError

        raise UsageError(f"A figure shows one recording, and there are {len(inputs)}; sam report shows many.")
    look = Look(flags.start, flags.end, flags.width, flags.height, flags.dark)
    model = load_here(flags)
    (entry,) = entries(run(everything(model), inputs, model, RunOptions()), Clock())
    if entry.error:
        raise InputError(entry.error)
    write_whole(target, draw(entry, Path(inputs[0].path), look, target.suffix.lower()))
    streams.note(f"the figure is in {target}.")
    return ExitCode.OK
