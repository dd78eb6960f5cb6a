"""The folder of a tuning: refused or made ready, and filled with the best model so far."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from samcli.checkpoints.configs import config_to_json
from samcli.checkpoints.format import kind_of, untied
from samcli.errors import UsageError
from samcli.models.lora import AdapterConfig
from samcli.models.tuned import CONFIG, WEIGHTS, learned_state
from samcli.training.folder import ModelFolder
from samcli.training.tune.base import Base, TuneRecipe
from samcli.training.tune.batches import Mel
from samcli.training.tune.examine import Examined
from samcli.writers.files import write_whole


@dataclass(frozen=True)
class BestModelWriter:
    """Writes the best model so far."""

    base: Base
    out: Path
    recipe: TuneRecipe
    config: AdapterConfig
    names: tuple[str, ...]
    taught: Sequence[str]
    data: Examined

    def keep(self, network: nn.Module, figures: dict[str, float], step: int) -> None:
        from safetensors.torch import save

        card = card_of(self.base, self.recipe, self.data, self.taught, figures, step)
        files: dict[str, bytes] = {"README.md": card.encode()}
        if self.recipe.method == "full":
            tensors = {
                name: tensor.to(torch.float16 if tensor.is_floating_point() else tensor.dtype).contiguous()
                for name, tensor in untied(network.state_dict(keep_vars=True)).items()
            }
            files["model.safetensors"] = save(tensors, {"format": "pt"})
            files["labels.json"] = json_bytes(list(self.names))
            tokenizer = self.base.folder / "tokenizer.json"
            if tokenizer.exists():
                files["tokenizer.json"] = tokenizer.read_bytes()
            about: Any = network.config
            files["config.json"] = json_bytes({"model_type": kind_of(about), **config_to_json(about)})
        else:
            files[WEIGHTS] = save(learned_state(network, self.names, self.taught, self.config), {"format": "pt"})
            files[CONFIG] = json_bytes({"model_type": "adapter", **dataclasses.asdict(self._config())})
        for name, data in files.items():  # the description comes last: without it there is no model yet
            write_whole(self.out / name, data, own=1)

    def _config(self) -> AdapterConfig:
        """With what it learned from; the column `wrong` marks a table of verdicts."""
        learners = self.data.split("train")
        verdicts = len(learners) if "wrong" in self.data.found.columns else 0
        return dataclasses.replace(self.config, recordings=len(learners), verdicts=verdicts)


def open_folder(out: Path, settings: dict[str, Any], resume: bool) -> bool:
    """Make OUT ready for this run; False when the run that is to go on is finished already."""
    folder = ModelFolder(out)
    if not resume:
        check_new(out)
    elif not folder.settings.exists():
        if (out / CONFIG).exists() or (out / "config.json").exists():
            return False
        raise UsageError(f"There is nothing to go on with in {str(out)!r}; start without --resume.")
    folder.open(settings)
    return True


def check_new(out: Path) -> None:
    """Refuse a folder that has something in it."""
    if ModelFolder(out).settings.exists():
        raise UsageError(f"{str(out)!r} holds a run that was stopped: go on with --resume, or name another folder.")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{str(out)!r} is there already: name another folder.")


def settings_of(data: Examined, base: Base, recipe: TuneRecipe, others: Sequence[Mel] = ()) -> dict[str, Any]:
    """What a run that goes on must have the same."""
    return {
        "others": [len(others), sum(map(len, others))],
        "base": base.name,
        "revision of the base": base.revision,
        "method": recipe.method,
        "rank": recipe.rank,
        "epochs": recipe.epochs,
        "minutes": recipe.minutes,
        "seed": recipe.seed,
        "batch size": recipe.batches.scenes,
        "state of the data": data.fingerprint,
    }


def card_of(
    base: Base, recipe: TuneRecipe, data: Examined, taught: Sequence[str], figures: dict[str, float], step: int
) -> str:
    """The README of the folder."""
    learners, held = data.split("train"), data.split("validation")
    what = "A whole model" if recipe.method == "full" else "An adapter"
    how = recipe.method if recipe.method in ("full", "head") else f"{recipe.method}, rank {recipe.rank}"
    judged = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
    lines = [
        "# A tuned model",
        "",
        f"{what} made by `sam train tune` from {base.name} (revision {base.revision}), method {how}.",
        "",
        f"- learned from {len(learners)} recordings, judged on {len(held)} held out (split by: {data.split_by})",
        f"- taught: {', '.join(taught) if taught else 'no names, only words'}",
        f"- judged at step {step}: {judged or 'nothing was held out'}",
        "",
    ]
    return "\n".join(lines)


def json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
