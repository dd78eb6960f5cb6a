"""calibration.json: from which score on each label of a model is called heard, and what told so.

    {"schema": 1, "threshold": 0.4, "made_from": {"recordings": 655, "sources": 24},
     "labels": {"Dog": {"threshold": 0.35, "step_threshold": 0.3, "recordings": 31, "precision": 0.8, ...}}}

It lies beside a model's weights or an adapter's. In a folder of its own it names its `base`, and the folder is that
model with other thresholds. `threshold` holds for labels that are not listed, `step_threshold` for the steps of a
timeline, where it is another than for a whole recording.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samcli.checkpoints.safety import member, read_json, shown
from samcli.errors import ModelError
from samcli.models.facts import Thresholds
from samcli.writers.files import explain, make_folder, write_whole

FILE = "calibration.json"
SCHEMA = 1
LIMIT = 4 * 2**20  # bytes


@dataclass(frozen=True)
class Calibration:
    threshold: float
    labels: Mapping[str, Mapping[str, Any]]  # of each at least its "threshold"
    step_threshold: float | None = None  # None: as for whole recordings
    made_from: Mapping[str, Any] = field(default_factory=dict)
    base: str = ""  # the model whose scores these thresholds are of, where the folder holds no weights

    def of(self, label: str) -> tuple[float, float]:
        """A label's threshold for recordings and for steps."""
        row = self.labels.get(label)
        if row is None:
            return self.threshold, self.threshold if self.step_threshold is None else self.step_threshold
        return row["threshold"], row.get("step_threshold", row["threshold"])


def read_calibration(folder: Path) -> Calibration | None:
    """What a folder holds; None when it holds none."""
    path = folder / FILE
    if not (path.exists() or path.is_symlink()):
        return None
    data = read_json(member(folder, FILE), LIMIT)
    if data.get("schema") != SCHEMA:
        raise ModelError(f"{path} is of schema {shown(data.get('schema'))}; this version of sam knows {SCHEMA}.")
    labels, made_from, base = data.get("labels", {}), data.get("made_from", {}), data.get("base", "")
    if not isinstance(labels, dict) or not isinstance(made_from, dict) or not isinstance(base, str):
        raise ModelError(f"{path} is no calibration that this version of sam knows.")
    common, steps = _score(path, data, "threshold"), _score(path, data, "step_threshold", needed=False)
    for label, row in labels.items():
        if not isinstance(row, dict):
            raise ModelError(f"{path} gives {shown(label)} no threshold.")
        _score(path, row, "threshold", label)
        _score(path, row, "step_threshold", label, needed=False)
    assert common is not None
    return Calibration(common, labels, steps, made_from, base)


def _score(path: Path, row: Mapping[str, Any], name: str, of: str = "", needed: bool = True) -> float | None:
    value = row.get(name)
    if value is None and not needed:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 or math.isnan(value):
        what = f"{name} of {shown(of)}" if of else name
        raise ModelError(f"{path} sets the {what} to {shown(value)}, which is no score from 0 to 1.")
    return float(value)


def write_calibration(folder: Path, calibration: Calibration) -> Path:
    """Put it into a folder, which is made when it is not there."""
    values: dict[str, Any] = {"schema": SCHEMA}
    if calibration.base:
        values["base"] = calibration.base
    values["threshold"] = calibration.threshold
    if calibration.step_threshold is not None:
        values["step_threshold"] = calibration.step_threshold
    values |= {"made_from": dict(calibration.made_from), "labels": {k: dict(v) for k, v in calibration.labels.items()}}
    try:
        make_folder(folder)
    except OSError as error:
        raise explain(folder, error) from error
    write_whole(
        member(folder, FILE), (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    )
    return folder / FILE


def is_calibration(name: str) -> bool:
    """Whether a name is that of a folder with thresholds for a model that lies elsewhere."""
    folder = Path(name).expanduser()
    others = ("config.json", "adapter.json")
    return bool(name) and (folder / FILE).is_file() and not any((folder / other).exists() for other in others)


def thresholds_in(folders: Iterable[Path], labels: Sequence[str]) -> Thresholds | None:
    """Those of a model's labels by its folder and its adapters' folders, of which later ones say more."""
    found: Thresholds | None = None
    for folder in folders:
        calibration = read_calibration(folder)
        if calibration is not None:
            found = with_calibration(calibration, labels, found)
    return found


def with_calibration(calibration: Calibration, labels: Sequence[str], before: Thresholds | None) -> Thresholds:
    """Thresholds of these labels; one that is not listed keeps what it had before."""
    pairs = [
        calibration.of(label) if before is None or label in calibration.labels else (before.clips[at], before.steps[at])
        for at, label in enumerate(labels)
    ]
    return Thresholds(tuple(clip for clip, _ in pairs), tuple(step for _, step in pairs), True)
