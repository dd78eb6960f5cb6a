"""Soft targets: an encoder's own scores of every training clip, blended with the teacher's.

A label is one person's word for a clip, the teacher's opinion that of a network that never heard clips like these. The
encoder has learned from both; the mean of its logits and the teacher's is better than either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from samcli.models.encoders.nano import NanoEncoder
from samcli.training.loop import Report
from samcli.training.nano.corpus import TEACHER_WINDOW_SECONDS, Clip
from samcli.training.nano.material import Material, SoftTargets
from samcli.training.nano.mixer import FRAMES_PER_SECOND
from samcli.writers.files import write_whole

WINDOW = round(TEACHER_WINDOW_SECONDS * FRAMES_PER_SECOND)
TEACHER_SHARE = 0.3  # of the mean of logits
LEAST = 1e-4  # of a probability, before its logit is taken
STORED = "opinions.npz"


def compute_soft_targets(encoder: NanoEncoder, material: Material, out: Path, report: Report) -> SoftTargets:
    """Of every training clip; computed once and kept in OUT."""
    path = out / STORED
    if not path.exists():
        write_whole(path, _packed(_all_soft_targets(encoder, material, report)))
    with np.load(path) as stored:  # a first run goes on with what a resumed one will find
        return {name: rows.astype(np.float32) for name, rows in stored.items()}


def _all_soft_targets(encoder: NanoEncoder, material: Material, report: Report) -> SoftTargets:
    found: SoftTargets = {}
    clips = [clip for clip in material.corpus.split("train") if clip.source != "synthetic"]
    for number, clip in enumerate(clips):
        found[clip.file] = blended(logits_of(encoder, material, clip), material.corpus.teacher[clip.file])
        if number % 1000 == 0:
            report({"clips": number, "of": len(clips)})
    return found


@torch.no_grad()
def logits_of(encoder: NanoEncoder, material: Material, clip: Clip) -> NDArray[np.float32]:
    """Logits (started windows, classes)."""
    log_power = torch.from_numpy(np.asarray(material.store[clip.file], np.float32))
    rows = []
    for start in range(0, len(log_power), WINDOW):
        part = log_power[start : start + WINDOW]
        logits: Any = encoder(encoder.front_end.read(part[None])).clip_logits
        rows.append(logits[0].float().numpy())
    return np.stack(rows)


def blended(logits: NDArray[np.float32], teacher: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of logits, as probabilities; a window that the teacher did not judge is the encoder's alone."""
    known = teacher[: len(logits)].clip(LEAST, 1 - LEAST)
    mean = logits.copy()
    mean[: len(known)] += TEACHER_SHARE * (np.log(known / (1 - known)) - logits[: len(known)])
    return np.asarray(1 / (1 + np.exp(-mean)), np.float32)


def _packed(targets: SoftTargets) -> bytes:
    import io

    file = io.BytesIO()
    np.savez_compressed(file, **{name: rows.astype(np.float16) for name, rows in targets.items()})  # type: ignore[arg-type]
    return file.getvalue()
