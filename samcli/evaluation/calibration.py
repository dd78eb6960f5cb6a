"""A model's thresholds on a person's own labelled recordings: where to put them, and what they are worth there.

A label's threshold is where its F1 is best. A label with few recordings leans on what all labels have in common, as if
it had a few more of the usual kind; one with none takes the common threshold. What thresholds are worth is judged with
those that other sources chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.checkpoints.calibration import Calibration
from samcli.engine.hearing import Heard, Wave, hear
from samcli.errors import UsageError
from samcli.evaluation.figures import DRAWS, LEVEL, SEED
from samcli.models.interface import SoundModel
from samcli.tasks.tag import find_labels
from samcli.training.tune.examine import Examined, decoded, examine
from samcli.training.tune.held_out import sources_of
from samcli.training.tune.recordings import Found, Recording

LOT = 64  # recordings in memory at once
FIGURES = ("precision", "recall", "f1")
GRID = np.arange(1, 100) / 100  # thresholds to choose from
USUAL = 5.0  # recordings of the usual kind that are added to each label's own
COMMON = 0.5  # where nothing is known at all
FOLDS = 10

Scores = NDArray[np.float32]
Truth = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Calibrated:
    """What came of it."""

    labels: tuple[str, ...]  # of the recordings, by the model's names
    clips: Thresholds
    steps: Thresholds | None  # None: the model hears no moments
    verdicts: tuple[Verdict, ...]
    recordings: int
    sources: int
    unknown: tuple[str, ...]  # labels that the model has no name for
    examined: Examined

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row of plain values for each label."""
        for number, (label, verdict) in enumerate(zip(self.labels, self.verdicts, strict=True)):
            row: dict[str, Any] = {"label": label, "recordings": verdict.recordings, "sources": verdict.sources}
            row["threshold"] = self.clips.labels[number]
            row["step_threshold"] = None if self.steps is None else self.steps.labels[number]
            for name in FIGURES:
                ends = getattr(verdict, name) or (None, None, None)
                row |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
            yield row

    def calibration(self, before: Calibration | None = None, base: str = "") -> Calibration:
        """As it is stored; what an earlier one said of other labels stays."""
        listed = {row["label"]: {name: _rounded(row[name]) for name in row if name != "label"} for row in self.rows()}
        listed = {label: {k: v for k, v in row.items() if v is not None} for label, row in listed.items()}
        steps = None if self.steps is None else self.steps.common
        made_from: dict[str, Any] = {"recordings": self.recordings, "sources": self.sources}
        if before is None:
            return Calibration(self.clips.common, listed, steps, made_from, base)
        if before.made_from:
            made_from["before"] = {name: value for name, value in before.made_from.items() if name != "before"}
        labels = {**before.labels, **listed}
        return Calibration(before.threshold, labels, before.step_threshold, made_from, before.base or base)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def calibrate(
    model: SoundModel,
    found: Found,
    *,
    held_out_only: bool = False,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Calibrated:
    """Hear the recordings and choose. Where the data say what is held out, or `held_out_only`, no others are heard."""
    examined = examine(
        found,
        model.labels,
        seed=seed,
        rate=model.sample_rate,
        progress=lambda done, total: progress("reading", done, total),
    )
    only = held_out_only or examined.split_by == "given"
    chosen = [one for one in examined.recordings if (one.labels or one.wrong) and not (only and one.split == "train")]
    names, places, unknown = _known([label for one in chosen for label in one.labels], model.labels)
    if not names:
        what = "is held out with" if only else "of these recordings has"
        raise UsageError(f"None {what} a label that {model.name} knows.")
    truth = np.zeros((len(chosen), len(names)), bool)
    for row, one in enumerate(chosen):
        truth[row, [places[label] for label in one.labels if label in places]] = True
    columns = [model.labels.index(name) for name in names]
    clips, steps = _scores(model, examined, chosen, columns, progress)
    sources, _ = sources_of(chosen, examined.contents)
    named = [str(source) for source in sources]
    return Calibrated(
        names,
        best_thresholds(clips, truth),
        None if steps is None else best_thresholds(steps, truth),
        tuple(judged(clips, truth, named)),
        len(chosen),
        len(set(named)),
        unknown,
        examined,
    )


def _known(labels: Sequence[str], known: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int], tuple[str, ...]]:
    """The model's names for labels, the place of each label among them, and labels that have none."""
    found: dict[str, str] = {}
    unknown: list[str] = []
    for label in sorted(set(labels)):
        try:
            positions = find_labels([label], known)
        except UsageError:
            positions = ()
        if len(positions) == 1:
            found[label] = known[positions[0]]
        else:
            unknown.append(label)
    names = tuple(sorted(set(found.values())))
    return names, {label: names.index(name) for label, name in found.items()}, tuple(unknown)


def _scores(
    model: SoundModel,
    examined: Examined,
    recordings: Sequence[Recording],
    columns: Sequence[int],
    progress: Callable[[str, int, int], None],
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Of recordings (recordings, labels), and the highest of their moments; zero where nothing was loud enough."""
    moments = model.step_seconds is not None
    clips = np.zeros((len(recordings), len(columns)), np.float32)
    steps = np.zeros_like(clips)
    for at in range(0, len(recordings), LOT):
        lot = recordings[at : at + LOT]
        heard = hear(model, [_wave(examined, one, model.sample_rate) for one in lot], steps=moments)
        for row, one in enumerate(heard, at):
            if one.tags is not None:
                clips[row] = one.tags[columns]
            steps[row] = _highest(one, columns)
        progress("hearing", min(at + LOT, len(recordings)), len(recordings))
    return clips, steps if moments else None


def _highest(heard: Heard, columns: Sequence[int]) -> NDArray[np.float32]:
    windows = [scores[:, columns].max(0) for _, _, scores in heard.steps if scores is not None and len(scores)]
    return np.max(windows, axis=0) if windows else np.zeros(len(columns), np.float32)


def _wave(examined: Examined, recording: Recording, rate: int) -> Wave:
    wave, _ = decoded(examined.found.root / recording.path, rate)
    last = len(wave) if recording.end is None else round(recording.end * rate)
    return wave[round(recording.start * rate) : last]


@dataclass(frozen=True)
class Thresholds:
    """One for each label, and one for labels that no recording has."""

    labels: tuple[float, ...]
    common: float


@dataclass(frozen=True)
class Verdict:
    """What a label's threshold is worth, with the ends of 95 % intervals; None where nothing could be judged."""

    recordings: int  # that have the label
    sources: int
    precision: tuple[float, float, float] | None  # value, low, high
    recall: tuple[float, float, float] | None
    f1: tuple[float, float, float] | None


def best_thresholds(scores: Scores, truth: Truth, usual: float = USUAL) -> Thresholds:
    """Of scores (recordings, labels) from 0 to 1, and which labels are right."""
    hits, called = _reached(scores, truth), _reached(scores, np.ones_like(truth))
    positives = truth.sum(0).astype(np.float64)
    if not positives.sum():
        return Thresholds((COMMON,) * truth.shape[1], COMMON)
    every_hit, every_call = hits.sum(0) / positives.sum(), called.sum(0) / positives.sum()  # of a usual positive
    common = _best(every_hit, every_call, 1.0)
    labels = [
        _best(mine + usual * every_hit, calls + usual * every_call, count + usual) if count else common
        for mine, calls, count in zip(hits, called, positives, strict=True)
    ]
    return Thresholds(tuple(labels), common)


def _best(hits: Numbers, called: Numbers, positives: float) -> float:
    """The middle of the thresholds with the best F1 = 2 hits / (called + positives)."""
    f1 = 2 * hits / (called + positives)
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(GRID[best[(len(best) - 1) // 2]])


def _reached(scores: Scores, counted: Truth) -> Numbers:
    """How many of the counted scores reach each threshold: (labels, thresholds)."""
    labels = scores.shape[1]
    steps = np.floor(np.round(scores.astype(np.float64), 4) * 100 + 1e-9).astype(int).clip(0, 99)
    cells = (np.arange(labels) * 100 + steps)[counted]
    counts = np.bincount(cells, minlength=labels * 100).reshape(labels, 100)
    return counts[:, ::-1].cumsum(1)[:, ::-1][:, 1:].astype(np.float64)


def judged(scores: Scores, truth: Truth, sources: Sequence[str], usual: float = USUAL) -> list[Verdict]:
    """Each label's verdict, every source by thresholds that the others chose."""
    names, place = np.unique(np.asarray(sources, dtype=object).astype(str), return_inverse=True)
    called, folds = np.zeros_like(truth), folds_of(sources, FOLDS)
    alone = len(names) == 1  # nobody else to choose
    for number in np.unique(folds):
        out = folds == number
        chosen = best_thresholds(scores, truth, usual) if alone else best_thresholds(scores[~out], truth[~out], usual)
        called[out] = np.round(scores[out], 4) >= np.asarray(chosen.labels, np.float32) - 1e-6
    parts = (truth & called, called, truth)
    hit, call, right = (_by_source(part, place, len(names)) for part in parts)  # (sources, labels)
    chance = np.random.default_rng(SEED)
    draws = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS).astype(np.float64)
    drawn = _ratios(draws @ hit, draws @ call, draws @ right)
    found = _ratios(hit.sum(0), call.sum(0), right.sum(0))
    return [
        Verdict(
            int(right[:, label].sum()),
            int((right[:, label] > 0).sum()),
            *(_with_ends(value[label], among[:, label]) for value, among in zip(found, drawn, strict=True)),
        )
        for label in range(truth.shape[1])
    ]


def folds_of(sources: Sequence[str], folds: int) -> NDArray[np.intp]:
    """A fold for each clip: whole sources, the largest first, each to the fold that has the fewest clips."""
    names, place, counts = np.unique(
        np.asarray(sources, dtype=object).astype(str), return_inverse=True, return_counts=True
    )
    sizes, fold = np.zeros(min(folds, len(names)), int), np.zeros(len(names), np.intp)
    for source in np.argsort(-counts, kind="stable"):
        fold[source] = sizes.argmin()
        sizes[fold[source]] += counts[source]
    return fold[place]


def _by_source(part: Truth, place: NDArray[np.intp], sources: int) -> Numbers:
    counts = np.zeros((sources, part.shape[1]))
    np.add.at(counts, place, part)
    return counts


def _ratios(hit: Numbers, call: Numbers, right: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Precision, recall and F1; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return hit / call, hit / right, np.where(right > 0, 2 * hit / (call + right), np.nan)


def _with_ends(value: float, drawn: Numbers) -> tuple[float, float, float] | None:
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(known):
        return None
    edge = (100 - LEVEL) / 2
    low, high = np.percentile(known, [edge, 100 - edge])
    return float(value), float(low), float(high)
