"""Tags: a label is in a recording as surely as in the window where it is heard best.

The score of a segment is the highest of its windows'. An average would lose a siren of five seconds in an hour of
rain, and no window is a sliver (see `engine.windows`), so none is loud by accident of being short.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from samcli.engine.options import DEFAULT_THRESHOLD, DEFAULT_TOP_K
from samcli.engine.task import Heard, Scores, Task, Window
from samcli.errors import UsageError
from samcli.records import AUTO, Record, Tag

DIGITS = 4  # of a score: more would show noise of the arithmetic


@dataclass(frozen=True)
class Choice:
    """Which tags of a model are written down."""

    labels: tuple[str, ...]  # all the model knows
    asked: tuple[int, ...]  # positions of those that may appear
    top_k: int
    threshold: float | tuple[float, ...]  # lowest score; one for all labels, or each its own

    @classmethod
    def of(
        cls,
        known: Sequence[str],
        asked: Sequence[str],
        top_k: int | None,
        threshold: float | tuple[float, ...] | None,
        timeline: float | tuple[float, ...] | None = None,
    ) -> Choice:
        """Settings with their defaults filled in; `timeline` is the default threshold of one."""
        positions = find_labels(asked, known) if asked else tuple(range(len(known)))
        if threshold is None:
            threshold = timeline if timeline is not None else 0.0 if asked else DEFAULT_THRESHOLD
        if top_k is None:
            top_k = len(positions) if asked or timeline is not None else DEFAULT_TOP_K
        return cls(tuple(known), positions, top_k, threshold)

    @cached_property
    def limits(self) -> NDArray[np.float64]:
        """The lowest score of each label (classes,)."""
        return np.broadcast_to(np.asarray(self.threshold, np.float64), len(self.labels))

    @property
    def told(self) -> float | str:
        """The threshold as records tell it."""
        return AUTO if isinstance(self.threshold, tuple) else float(self.threshold)

    def tags(self, scores: Scores) -> tuple[Tag, ...]:
        """The chosen tags of scores (classes,), highest first, equal ones in the model's order."""
        places = np.asarray(self.asked, np.intp)
        limits = self.limits
        near = scores[places] >= limits[places] - 10.0**-DIGITS  # few of hundreds: the rest is done one by one
        rounded = [(round(float(scores[position]), DIGITS), position) for position in places[near].tolist()]
        kept = sorted((-score, position) for score, position in rounded if score >= limits[position])
        return tuple(Tag(self.labels[position], -score) for score, position in kept[: self.top_k])


@dataclass(frozen=True)
class TagTask(Task):
    """Labels with scores, for each segment."""

    choice: Choice
    name: str = "tag"
    wants_clip: bool = True

    def gatherer(self) -> TagGatherer:
        return TagGatherer(self.choice)


class TagGatherer:
    """The highest score of each label so far."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.best: Scores | None = None

    def add(self, window: Window) -> None:
        if window.clip is not None:
            self.best = window.clip if self.best is None else np.maximum(self.best, window.clip)

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        tags = () if self.best is None else self.choice.tags(self.best)
        return [replace(heard.record("tag"), tags=tags, threshold=self.choice.told)]


def find_labels(asked: Sequence[str], known: Sequence[str]) -> tuple[int, ...]:
    """Positions of labels asked for, in any case of letters or by a plain word; each once, in the order asked."""
    places = {label.casefold(): position for position, label in enumerate(known)}
    found: dict[int, None] = {}
    for label in asked:
        name = label.strip().casefold()
        positions = [places[name]] if name in places else _named(name, known)
        if not positions:
            close = difflib.get_close_matches(name, places, n=1, cutoff=0.6)
            hint = f" Did you mean {known[places[close[0]]]!r}?" if close else ""
            raise UsageError(f"The model knows no label {label!r}.{hint}")
        found.update(dict.fromkeys(positions))
    return tuple(found)


def _named(word: str, known: Sequence[str]) -> list[int]:
    """Every label that a word is another name for: "car horn" for "Vehicle horn, car horn, honking"."""
    from samcli.text.labels import labels, synonyms

    described = set(labels())
    return [place for place, label in enumerate(known) if label in described and word in synonyms(label)]
