"""The tag figures of the development split: accuracy on everyday classes, across sources, agreement with the teacher.

Scores are (clips, classes) in the order of the corpus' names, on any monotone scale that is comparable between classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from samcli.training.nano.corpus import Clip, Corpus, Targets

Scores = NDArray[np.float32]
Truth = NDArray[np.bool_]

SURE = 0.5  # probability from which the teacher's word is taken
POSITIVES = 5  # clips of which the teacher must be sure before a class counts


def average_precision(truth: Truth, scores: Scores) -> float:
    """Area under precision against recall; clips of equal score are taken together, so their order is no luck."""
    order = np.argsort(-scores, kind="stable")
    hits, ranked = np.cumsum(truth[order]), scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # of each run of equal scores
    found = np.diff(hits[last], prepend=0)
    return float((found * hits[last] / (last + 1)).sum() / hits[-1])


def everyday_hits(clips: Sequence[Clip], scores: Scores, targets: Targets) -> Truth:
    """For each curated clip whether its class wins among the 50, each class scored by its best AudioSet name."""
    classes = list(targets.class_names)
    columns = [[targets.index[name] for name in targets.class_names[c]] for c in classes]
    rows = [i for i, clip in enumerate(clips) if clip.curated]
    by_class = np.stack([scores[:, cols].max(1) for cols in columns], axis=1)
    return np.array([classes[int(by_class[i].argmax())] == clips[i].label for i in rows], bool)


def cross_source_hits(clips: Sequence[Clip], scores: Scores, targets: Targets) -> Truth:
    """Top-1 among the labels present, each by its first AudioSet name, on clips from sources never trained on."""
    rows = [i for i, clip in enumerate(clips) if not clip.curated and clip.audioset]
    names = sorted({clips[i].audioset[0] for i in rows})
    if not names:
        return np.zeros(0, bool)
    among = scores[:, [targets.index[name] for name in names]]
    return np.array([names[int(among[i].argmax())] == clips[i].audioset[0] for i in rows], bool)


def teacher_truth(
    clips: Sequence[Clip], corpus: Corpus, sure: float = SURE, positives: int = POSITIVES
) -> tuple[Truth, NDArray[np.intp]]:
    """What the teacher is sure of (clips, classes), and the classes it is sure of often enough."""
    truth = np.stack([corpus.teacher[clip.file].max(0) for clip in clips]) > sure
    return truth, np.flatnonzero(truth.sum(0) >= positives)


def everyday_accuracy(clips: Sequence[Clip], scores: Scores, targets: Targets) -> float:
    return float(everyday_hits(clips, scores, targets).mean())


def cross_source_accuracy(clips: Sequence[Clip], scores: Scores, targets: Targets) -> float:
    return float(cross_source_hits(clips, scores, targets).mean())


def teacher_agreement(
    clips: Sequence[Clip], scores: Scores, corpus: Corpus, sure: float = SURE, positives: int = POSITIVES
) -> float:
    """Mean average precision against what the teacher is sure of, over classes it is sure of at least five times."""
    truth, wanted = teacher_truth(clips, corpus, sure, positives)
    return mean_precision(truth, scores, wanted)


def mean_precision(truth: Truth, scores: Scores, wanted: NDArray[np.intp]) -> float:
    """Over the wanted classes that any of these clips is of."""
    some = [c for c in wanted if truth[:, c].any()]
    return float(np.mean([average_precision(truth[:, c], scores[:, c]) for c in some])) if some else float("nan")


def tag_figures(corpus: Corpus, score: Callable[[Clip], Scores]) -> dict[str, float]:
    """All three, from `score(clip)`: one value per class."""
    clips, targets = corpus.split("dev"), Targets(corpus)
    scores = np.stack([score(clip) for clip in clips])
    return {
        "everyday accuracy (50-way)": everyday_accuracy(clips, scores, targets),
        "cross-source accuracy": cross_source_accuracy(clips, scores, targets),
        "mAP against the teacher": teacher_agreement(clips, scores, corpus),
    }
