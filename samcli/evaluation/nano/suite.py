"""What sam-nano must do, measured: every row of its table, for any model and any corpus in the same layout.

    report = nano_figures(load_model("sam-nano"), "corpus")
    print(report_markdown(report))

Nothing is random: clips, scenes, questions and intervals come from fixed seeds, answers are read by word lists fixed
beforehand, and the model is heard through the same windows, level gate and decoding as in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samcli.engine.hearing import Progress
from samcli.engine.options import RunOptions
from samcli.evaluation.figures import Figure
from samcli.evaluation.nano.dev_sounds import RATE, Measurement
from samcli.evaluation.nano.left_out import left_out_figures
from samcli.evaluation.nano.long_figures import long_figures
from samcli.evaluation.nano.phrasings import asked_figures, phrasing_figures
from samcli.evaluation.nano.quiz import quiz_of, replies
from samcli.evaluation.nano.tags import tag_figures, timeline_figures, variant_figures
from samcli.evaluation.nano.targets import TARGETS
from samcli.evaluation.nano.words import answer_figures, caption_figures, scene_figures, special_figures
from samcli.models.interface import SoundModel
from samcli.tasks.composed import composed


@dataclass(frozen=True)
class SuiteSize:
    """How much is measured."""

    every: int = 1  # n-th development clip
    scenes: int = 300
    minutes: int = 100
    variants: int = 400  # everyday clips, at most
    long: int = 60  # scenes of half a minute to two hours

    @classmethod
    def of(cls, quick: bool) -> SuiteSize:
        return cls(every=4, scenes=60, minutes=12, variants=60, long=8) if quick else cls()


def _no_progress(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def nano_figures(
    model: SoundModel, corpus_folder: str | Path, quick: bool = False, progress: Progress = _no_progress
) -> dict[str, Any]:
    """Every figure the model's tasks allow, with the captions and answers behind it.

    `quick` asks about a quarter of the clips. `progress` is called with what is being done, and how far.
    """
    return measure(model, corpus_folder, SuiteSize.of(quick), progress) | {"quick": quick}


def measure(
    model: SoundModel, corpus_folder: str | Path, size: SuiteSize, progress: Progress = _no_progress
) -> dict[str, Any]:
    """The same, as much as `size` says."""
    measurement = Measurement(model, corpus_folder, size.every, progress)
    sounds = measurement.sounds
    speaks = {"caption", "ask"} <= model.tasks
    quizzes = [quiz_of(clip, sounds.corpus.names) if clip.single else None for clip in sounds.clips]
    heard = replies(
        model,
        [clip.wave for clip in sounds.clips],
        [("", *(quiz.prompts if quiz else ())) if speaks else () for quiz in quizzes],
        rate=RATE,
        progress=lambda done: progress("hearing the clips", done, len(sounds.clips)),
    )
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    if speaks:
        for name, (found, entries) in {
            "captions": caption_figures(sounds, heard),
            "answers": answer_figures(sounds, heard, quizzes),
            "scenes": scene_figures(sounds, model, size.scenes, progress),
            "special": special_figures(sounds, model, progress),
        }.items():
            figures += found
            details[name] = entries
    task = composed("caption", model, RunOptions()) if speaks else None
    if task is not None:
        found, details["long"] = long_figures(sounds, model, task, size.long, progress)
        figures += found + phrasing_figures(sounds, model, task, heard, quizzes)
        found, details["asked"] = asked_figures()
        figures += found
    if "tag" in model.tasks:
        figures += tag_figures(sounds, model, heard)
        figures += left_out_figures(model, sounds.corpus, size.every, progress)
        figures += timeline_figures(sounds, model, size.minutes, progress)
        figures += variant_figures(sounds, model, heard, size.variants, progress)
    order = list(TARGETS)
    figures.sort(key=lambda figure: order.index(figure.key))
    seconds = round(sum(clip.clip.seconds for clip in sounds.clips), 1)
    return measurement.report({"clips": len(sounds.clips), "seconds_of_audio": seconds}, figures, details)
