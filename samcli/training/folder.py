"""What a training leaves on disk: in OUT/training what a stopped one goes on from, and in OUT itself the model.

A folder without config.json is no model yet, so that file comes last. The settings of a training are kept beside its
state: the same command goes on with it, and another one is refused rather than mixed in.
"""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from samcli.checkpoints.files import INDEX, weight_files
from samcli.checkpoints.format import save_module, write_json
from samcli.checkpoints.modules import audioset_labels
from samcli.errors import OutputError, UsageError
from samcli.training.stage import Stage
from samcli.writers.disk import own_file, sync_folder
from samcli.writers.files import explain, prepare_own_folder, write_whole

CONFIG = "config.json"


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


class ModelFolder:
    def __init__(self, out: Path) -> None:
        self.out, self.state = out, out / "training"
        self.settings = self.state / "settings.json"

    def open(self, settings: Mapping[str, Any]) -> bool:
        """Begin a training with these settings, or go on with it (True); refuse to mix it with another."""
        if not self.settings.exists() and self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise UsageError(f"{str(self.out)!r} is there already and holds no training; name another folder.")
        prepare_own_folder(self.state)
        given = json.loads(json.dumps(settings))
        if self.settings.exists():
            try:
                with own_file(self.settings, own=2) as file:
                    before = json.load(file)
            except OSError as error:
                raise explain(self.settings, error) from error
            if "course" in before:  # as it was called once
                before["loop"] = before.pop("course")
            for name in (*before, *given):
                if before.get(name) != given.get(name):
                    raise UsageError(
                        f"The training in {str(self.out)!r} has {name} {_shown(before.get(name))}, "
                        f"not {_shown(given.get(name))}: name another folder, or go on as it began."
                    )
            return True
        write_whole(self.settings, json.dumps(given, indent=2).encode(), own=2)
        return False

    def deliver(
        self, module: nn.Module, config: Any, *, labels: Sequence[str] = (), tokenizer: Path | None = None, card: str
    ) -> None:
        """Put the finished model into the folder, over one that is there."""
        aside = self.state / "model"
        try:
            save_module(aside, module, config, tokenizer=tokenizer, card=card)
            if labels and tuple(labels) != audioset_labels():
                write_json(aside / "labels.json", list(labels))
            (self.out / CONFIG).unlink(missing_ok=True)
            for old in (*weight_files(self.out), self.out / INDEX, self.out / "labels.json"):
                old.unlink(missing_ok=True)
            public = (aside / CONFIG).stat().st_mode  # safetensors makes its files private
            for path in sorted(aside.iterdir(), key=lambda path: path.name == CONFIG):
                path.chmod(public)
                path.replace(self.out / path.name)
            sync_folder(self.out)
            aside.rmdir()
        except (OSError, SafetensorError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            if isinstance(error, OSError):
                raise explain(self.out, error) from error
            raise OutputError(f"Cannot write {str(self.out)!r}: {error}.") from error


def _shown(value: Any) -> str:
    return "none" if value is None else json.dumps(value)
