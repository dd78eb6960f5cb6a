"""The tagging half of the suite: accuracies, agreement with the teacher, timelines, tags of files stored otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from samcli.engine.hearing import Heard, Progress, hear
from samcli.evaluation.figures import Figure, interval, percent
from samcli.evaluation.metrics.events import Counts, collar_counts
from samcli.evaluation.nano.dev_sounds import RATE, DevSounds
from samcli.evaluation.nano.dev_tags import cross_source_hits, everyday_hits, teacher_truth
from samcli.evaluation.nano.minute_scenes import found_events, minute_scenes, timeline_classes
from samcli.evaluation.nano.targets import TARGETS, share_figure, table_figure
from samcli.evaluation.nano.variants import VARIANTS
from samcli.models.interface import SoundModel
from samcli.tasks.run import timeline_threshold
from samcli.training.nano.corpus import Targets
from samcli.training.precision import Scores, mean_precision

PRECISION_DRAWS = 200  # each sorts every class anew


def tag_figures(sounds: DevSounds, model: SoundModel, heard: Sequence[Heard]) -> list[Figure]:
    """Accuracies beside the teacher's own, and mean average precision against the teacher."""
    corpus, clips = sounds.corpus, [clip.clip for clip in sounds.clips]
    scores, teacher = _in_order(sounds, model, heard), np.stack([clip.teacher for clip in sounds.clips])
    targets = Targets(corpus)
    figures = []
    for key, hits in (("everyday_accuracy", everyday_hits), ("cross_source_accuracy", cross_source_hits)):
        by_teacher = hits(clips, teacher, targets)
        reference = f"teacher {percent(float(by_teacher.mean()))}" if by_teacher.size else ""
        figures.append(share_figure(key, hits(clips, scores, targets), reference=reference))
    truth, wanted = teacher_truth(clips, corpus)
    value = mean_precision(truth, scores, wanted)
    if not np.isfinite(value):
        figures.append(table_figure("teacher_map", None, note="the teacher is not sure of any class five times"))
    else:
        low, high = interval(
            lambda rows: mean_precision(truth[rows], scores[rows], wanted), len(clips), PRECISION_DRAWS
        )
        figures.append(
            table_figure("teacher_map", value, low=low, high=high, count=len(clips), note=f"over {len(wanted)} classes")
        )
    return figures


def timeline_figures(sounds: DevSounds, model: SoundModel, count: int, progress: Progress) -> list[Figure]:
    """Event F1 on synthetic minutes; nothing for a model that hears no time steps."""
    classes = timeline_classes(sounds)
    scenes = minute_scenes(sounds, classes, count)
    if model.step_seconds is None or not scenes:
        return []
    waves = [scene.wave for scene in scenes]
    telling = _telling(progress, "hearing minutes", waves)
    heard = hear(model, waves, steps=True, rate=RATE, progress=telling)
    limits = timeline_threshold(model)
    found = [found_events(one, model.labels, classes, model.step_seconds, limits) for one in heard]
    figures = []
    for key, ends in (("timeline_f1", True), ("timeline_onset_f1", False)):
        counts = [collar_counts(mine, scene.events, ends=ends) for mine, scene in zip(found, scenes, strict=True)]
        total = sum(counts, Counts())
        low, high = interval(_f1_of(counts), len(counts))
        note = f"precision {percent(total.precision)}, recall {percent(total.recall)}"
        events = total.hits + total.misses
        figures.append(table_figure(key, total.f1, low=low, high=high, count=events, note=note))
    return figures


def variant_figures(
    sounds: DevSounds, model: SoundModel, heard: Sequence[Heard], count: int, progress: Progress
) -> list[Figure]:
    """How often an everyday clip keeps its top tag when it is stored differently."""
    chosen = [
        (clip.wave, int(one.tags.argmax()))
        for clip, one in zip(sounds.clips, heard, strict=True)
        if clip.clip.curated and one.tags is not None
    ]
    chosen = chosen[:: max(1, len(chosen) // count)][:count]
    figures = []
    for name, change in VARIANTS.items():
        key = f"same_tag_{name}"
        changed = hear(
            model,
            [change(wave) for wave, _ in chosen],
            rate=RATE,
            progress=_telling(progress, TARGETS[key].name, chosen),
        )
        same = [
            one.tags is not None and int(one.tags.argmax()) == top
            for one, (_, top) in zip(changed, chosen, strict=True)
        ]
        figures.append(share_figure(key, same))
    return figures


def _in_order(sounds: DevSounds, model: SoundModel, heard: Sequence[Heard]) -> Scores:
    """Scores (clips, classes) in the corpus' order; what a model has no label for it never finds."""
    names = sounds.corpus.names
    place = {name: index for index, name in enumerate(model.labels)}
    ours = [index for index, name in enumerate(names) if name in place]
    theirs = [place[names[index]] for index in ours]
    scores = np.zeros((len(heard), len(names)), np.float32)
    for row, one in enumerate(heard):
        if one.tags is not None:
            scores[row, ours] = one.tags[theirs]
    return scores


def _f1_of(counts: Sequence[Counts]) -> Callable[[NDArray[np.int64]], float]:
    return lambda rows: sum((counts[int(row)] for row in rows), Counts()).f1


def _telling(progress: Progress, what: str, items: Sequence[object]) -> Callable[[int], None]:
    return lambda done: progress(what, done, len(items))
