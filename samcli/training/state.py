"""What a training leaves on disk: the state that a stopped one goes on from, and its log."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from samcli.training.stage import Stage
from samcli.writers.disk import own_file
from samcli.writers.files import explain, write_whole


def names_to_save(network: nn.Module, stages: Sequence[Stage], everything: bool) -> list[str]:
    """Of the weights: those that some stage changes, for a resumed run finds the others where it found them first."""

    def changes(name: str, parameter: nn.Parameter) -> bool:
        return any(parameter.requires_grad if stage.learns is None else stage.learns(name) for stage in stages)

    kept = {id(p) for name, p in network.named_parameters() if not everything and not changes(name, p)}
    return [name for name, value in network.state_dict(keep_vars=True).items() if id(value) not in kept]


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Written aside, then renamed: a stop in mid-write leaves the previous state."""
    packed = io.BytesIO()  # torch's own writer says nothing of a full disk
    torch.save(state, packed)
    write_whole(path, packed.getvalue(), own=2)


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What a stopped run saved."""
    try:
        with own_file(path, own=2) as file:
            state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    except OSError as error:
        raise explain(path, error) from error
    return state


def from_older(state: dict[str, Any], stages: Sequence[int]) -> dict[str, Any]:
    """The state in today's form; the first version counted the steps of each stage, or kept no sums.

    `stages`: how many steps each of them has.
    """
    if "stage" in state:
        state = {**state, "step": sum(stages[: state["stage"]]) + int(state["step"]), "average": state["mean"]}
    return {"sums": {}, "notes": {}, **state}


def forget_after(log: Path, step: int) -> None:
    """Take back what a log says of steps that were lost with a killed run."""
    if not log.exists():
        return
    try:
        with own_file(log, "r", 2, encoding="utf-8") as file:
            lines = file.readlines()
    except OSError as error:
        raise explain(log, error) from error
    kept = [line for line in lines if _step_of(line) <= step]
    if len(kept) < len(lines):
        write_whole(log, "".join(kept).encode(), own=2)


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line).get("step", 0))
    except (ValueError, AttributeError):  # the last line of a killed run may be half written
        return math.inf
