"""A model's thresholds on a person's own labelled recordings: where to put them, and what they are worth there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.checkpoints.calibration import Calibration
from samcli.engine.hearing import Heard, Wave, hear
from samcli.errors import UsageError
from samcli.evaluation.calibration.thresholds import Thresholds, Verdict, best_thresholds, judged
from samcli.models.interface import SoundModel
from samcli.tasks.tag import find_labels
from samcli.training.tune.examine import Examined, decoded, examine
from samcli.training.tune.held_out import sources_of
from samcli.training.tune.recordings import Found, Recording

LOT = 64  # recordings in memory at once
FIGURES = ("precision", "recall", "f1")


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
