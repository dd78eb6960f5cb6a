"""Captions of the development clips with and without refinement: what it gains, and what it costs.

Everything is heard twice from decoded waves, by the same path as in use; cost is the processor's time of the second
pass over that of the first, so that a busy machine changes it little.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from samcli.engine.hearing import Heard, Progress, hear
from samcli.engine.options import RunOptions
from samcli.evaluation.figures import Figure, share
from samcli.evaluation.metrics.wording import invented, names_any
from samcli.evaluation.nano.dev_sounds import RATE, DevSounds, Measurement
from samcli.models.interface import SoundModel

EVERY = 8  # n-th clip, when it must be quick: none of those that the rule was chosen on


def refine_figures(
    model: SoundModel,
    corpus_folder: str | Path,
    quick: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Sounds named and invented by either kind of caption, in the shape of the other reports."""
    measurement = Measurement(model, corpus_folder, EVERY if quick else 1, progress)
    sounds = measurement.sounds
    figures: list[Figure] = []
    seconds: list[float] = []
    texts: list[list[str]] = []
    for key, name, refine in (("plain", "as they come", False), ("refined", "refined", True)):
        start = time.process_time()
        heard = _captions(model, sounds, refine, progress, name)
        seconds.append(time.process_time() - start)
        texts.append([one.texts[0] for one in heard])
        figures += _figures(sounds, texts[-1], key, name)
    per_clip = [value / len(sounds.clips) for value in seconds]
    figures += [
        Figure("plain_seconds", "processor seconds a clip, as they come", per_clip[0], plain=True),
        Figure("refined_seconds", "processor seconds a clip, refined", per_clip[1], plain=True),
        Figure("cost", "cost, as a multiple", seconds[1] / max(1e-9, seconds[0]), plain=True),
        share("changed", "captions that refinement changed", [one != other for one, other in zip(*texts, strict=True)]),
    ]
    captions = [
        {"file": clip.clip.file, "label": clip.clip.label, "plain": plain, "refined": better}
        for clip, plain, better in zip(sounds.clips, *texts, strict=True)
    ]
    return measurement.report({"quick": quick, "clips": len(sounds.clips)}, figures, {"captions": captions})


def _captions(model: SoundModel, sounds: DevSounds, refine: bool, progress: Progress, name: str) -> list[Heard]:
    count = len(sounds.clips)
    return hear(
        model,
        [clip.wave for clip in sounds.clips],
        [("",)] * count,
        rate=RATE,
        options=RunOptions(refine=refine),
        progress=lambda done: progress(f"captions {name}", done, count),
    )


def _figures(sounds: DevSounds, texts: list[str], key: str, name: str) -> list[Figure]:
    both = list(zip(sounds.clips, texts, strict=True))
    named = [names_any(text, clip.names) for clip, text in both if clip.single]
    wrong = [bool(invented(text, sounds.supported(clip))) for clip, text in both]
    return [
        share(f"{key}_named", f"single sounds named, {name}", named),
        share(f"{key}_invented", f"captions that invent a sound, {name}", wrong, lower_is_better=True),
    ]
