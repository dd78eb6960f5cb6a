"""The folder in which a model is made: what the training needs in OUT/training, and at the end the model in OUT itself.

A folder without config.json is no model yet, so that file comes last. The settings of a training are kept beside its
state: the same command goes on with it, and another one is refused rather than mixed in.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from samcli.checkpoints.files import INDEX, weight_files
from samcli.checkpoints.format import save_module, write_json
from samcli.checkpoints.modules import audioset_labels
from samcli.errors import OutputError, UsageError
from samcli.writers.disk import own_file, sync_folder
from samcli.writers.files import explain, prepare_own_folder, write_whole

CONFIG = "config.json"


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
