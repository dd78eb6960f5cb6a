"""`sam bench`"""

from __future__ import annotations

import importlib
import inspect
import os
import platform
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from samcli.cli.completion import complete_device, complete_model, completes
from samcli.cli.flags import JsonFlags, option, spread, switch
from samcli.cli.output import output
from samcli.cli.tables import show, show_json
from samcli.errors import ExitCode, check_choice

COLUMNS = ("name", "value", "unit", "limit", "ratio", "target")
PARTS = {
    "core": "the state-space mathematics",
    "audio": "decoding and filter banks",
    "folder": "a whole folder, from files to records",
    "model": "the parts of a model",
    "search": "a search among ten thousand recordings",
}


@dataclass(kw_only=True)
class BenchFlags(JsonFlags):
    quick: Annotated[bool, switch("Short measurement: seconds, not minutes.", "--quick")] = False
    model: Annotated[str, option("Model for folder, model and search.", "NAME", autocompletion=complete_model)] = (
        "sam-nano"
    )
    device: Annotated[
        str, option("Device for core, folder, model and search.", "DEVICE", autocompletion=complete_device)
    ] = "cpu"


@spread
def bench(
    part: Annotated[
        str, typer.Argument(metavar="PART", help="core, audio, folder, model, search.", autocompletion=completes(PARTS))
    ],
    flags: BenchFlags,
) -> ExitCode:
    """Measure speed on this machine, each figure beside the limit it is judged by.

    sam bench core
    sam bench audio --quick
    sam bench folder --json
    """
    check_choice("bench", part, PARTS)
    streams = output()
    streams.status(f"measuring {PARTS[part]}")
    measure = getattr(importlib.import_module(f"samcli.bench.{part}"), f"bench_{part}")
    wanted = {"quick": flags.quick, "model": flags.model, "device": flags.device}
    known = inspect.signature(measure).parameters
    rows: list[dict[str, Any]] = measure(**{name: value for name, value in wanted.items() if name in known})
    facts = machine(flags.device if "device" in known else "cpu")
    if flags.json:
        show_json(streams, {"machine": facts, "rows": rows})
        return ExitCode.OK
    streams.note(", ".join(f"{name} {value}" for name, value in facts.items()))
    show(streams, COLUMNS, rows)
    return ExitCode.OK


def machine(device: str) -> dict[str, Any]:
    """What the figures were measured on; `device` is what really computed, so that a GPU left idle is seen."""
    import torch

    from samcli._version import __version__
    from samcli.ssm.report import loops

    facts: dict[str, Any] = {"samcli": __version__, "torch": torch.__version__, "python": platform.python_version()}
    facts |= {"system": platform.platform(terse=True), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    facts["loops"] = loops()
    used = device
    if device == "auto":
        used = "cuda" if torch.cuda.is_available() else "cpu"
    facts["device"] = f"{used} ({torch.cuda.get_device_name()})" if used.startswith("cuda") else used
    if torch.cuda.is_available() and not used.startswith("cuda"):
        facts["idle gpu"] = f"{torch.cuda.get_device_name()}: --device cuda"
    return facts
