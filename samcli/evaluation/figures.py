"""A measured figure with its interval, the mark it must reach, and how it is written down.

Intervals are 95 % percentile bootstraps over the judged items (clips, questions, scenes), drawn with a fixed seed: the
same answers give the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 1000
SEED = 20_260
LEVEL = 95.0  # per cent


@dataclass(frozen=True)
class Figure:
    """One row of a report."""

    key: str  # in machine-readable output
    name: str  # for people
    value: float | None  # None: it could not be measured, see `note`
    low: float | None = None  # ends of the 95 % interval
    high: float | None = None
    count: int = 0  # judged items
    must: float | None = None  # the mark it must reach
    goal: float | None = None
    reference: str = ""  # what a teacher reaches, or chance
    lower_is_better: bool = False
    note: str = ""
    plain: bool = False  # a number of its own scale, not a share shown in per cent

    @property
    def reached(self) -> bool | None:
        """Whether the mark is reached; None when there is no mark or no value."""
        if self.must is None or self.value is None:
            return None
        return self.value <= self.must if self.lower_is_better else self.value >= self.must

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "name": self.name,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "count": self.count,
            "must": self.must,
            "goal": self.goal,
            "reference": self.reference,
            "lower_is_better": self.lower_is_better,
            "reached": self.reached,
            "note": self.note,
            "plain": self.plain,
        }


def share(key: str, name: str, hits: ArrayLike, **marks: Any) -> Figure:
    """The share of items that are right, of hits (items,) that are true or false (or parts of one)."""
    right = np.asarray(hits, np.float64)
    if right.size == 0:
        return Figure(key, name, None, note="nothing to judge", **marks)
    low, high = mean_interval(right)
    return Figure(key, name, float(right.mean()), low, high, right.size, **marks)


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The bootstrap interval of a mean."""
    chance = np.random.default_rng(SEED)
    means = [values[chance.integers(0, len(values), len(values))].mean() for _ in range(DRAWS)]
    return _ends(means)


def interval(statistic: Callable[[NDArray[np.int64]], float], count: int, draws: int = DRAWS) -> tuple[float, float]:
    """The bootstrap interval of any statistic of the items with the given numbers (draws,) out of `count`."""
    chance = np.random.default_rng(SEED)
    return _ends([statistic(chance.integers(0, count, count)) for _ in range(draws)])


def interval_over(
    statistic: Callable[[NDArray[np.int64]], float], groups: Sequence[str], draws: int = DRAWS
) -> tuple[float, float]:
    """The same when whole groups of items, such as sources, are drawn: items of one group are alike."""
    names, place = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    rows = [np.flatnonzero(place == number) for number in range(len(names))]
    return interval(lambda drawn: statistic(np.concatenate([rows[number] for number in drawn])), len(rows), draws)


def _ends(values: Iterable[float]) -> tuple[float, float]:
    edge = (100 - LEVEL) / 2
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [edge, 100 - edge])
    return float(low), float(high)


HEADER = ("measure", "value", "95 % interval", "items", "must reach", "go for", "")


def rows(figures: Iterable[Figure]) -> list[tuple[str, ...]]:
    """Cells under `HEADER`, one row for each figure."""
    return [
        (
            figure.name + (f" ({figure.reference})" if figure.reference else ""),
            "-" if figure.value is None else _shown(figure.value, figure),
            "-"
            if figure.low is None or figure.high is None
            else f"{_shown(figure.low, figure)} to {_shown(figure.high, figure)}",
            str(figure.count),
            _mark(figure.must, figure.lower_is_better),
            _mark(figure.goal, figure.lower_is_better),
            {True: "reached", False: "missed", None: figure.note}[figure.reached],
        )
        for figure in figures
    ]


def markdown(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table for a model card."""
    lines = [header, ["---"] * len(header), *body]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def report_rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """Cells for a table on a terminal, under `HEADER`."""
    fields = [{key: value for key, value in entry.items() if key != "reached"} for entry in report["figures"]]
    return rows(Figure(**entry) for entry in fields)


def report_markdown(report: dict[str, Any]) -> str:
    """The table for a model card."""
    return markdown(HEADER, report_rows(report))


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _shown(value: float, figure: Figure) -> str:
    return f"{value:.3f}" if figure.plain else percent(value)


def _mark(value: float | None, lower_is_better: bool) -> str:
    if value is None:
        return ""
    return ("<= " if lower_is_better else "") + f"{100 * value:.0f} %"
