"""`sam train plot`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from samcli.cli.exit_codes import ExitCode
from samcli.cli.flags import TalkFlags, option, spread
from samcli.cli.output import output


@dataclass(kw_only=True)
class PlotFlags(TalkFlags):
    """For `sam train plot`."""

    only: Annotated[list[str] | None, option("Single figure; repeatable.", "NAME")] = None
    output: Annotated[Path | None, option("PNG file, by matplotlib.", names=("--output", "-o"))] = None


@spread
def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Training folder, or its metrics.jsonl.")],
    flags: PlotFlags,
) -> ExitCode:
    """Show the course of a training, finished or not: losses and what was judged.

    sam train plot my-model
    sam train plot my-model --only loss --only accuracy
    sam train plot my-model -o course.png
    """
    from samcli.training.curves import chart, choose, draw_png, find_log, read_curves

    streams = output()
    curves = choose(read_curves(find_log(run)), flags.only or ())
    if flags.output is not None:
        draw_png(curves, flags.output)
        streams.write(f"{flags.output}\n")
        return ExitCode.OK
    streams.write("\n\n".join(chart(name, curve) for name, curve in curves.items()) + "\n")
    return ExitCode.OK
