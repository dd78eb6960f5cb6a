"""A training's curves from its metrics.jsonl: as a chart of characters, or as a PNG where matplotlib is there."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from samcli.errors import OutputError, UsageError
from samcli.writers.files import explain

LOG = "metrics.jsonl"
PLACES = ("", "training", "state")  # of a run's folder in which its log may lie
ASIDE = frozenset({"step", "of", "rate", "norm", "lent", "left", "seconds", "scenes/s", "examples/s", "stage"})
WIDTH, HEIGHT = 64, 6  # of a chart, in characters
LOWER = "▁▂▃▄▅▆▇█"  # eighths of a character's height

Curve = list[tuple[float, float]]  # (step, value)


def find_log(name: Path) -> Path:
    """The log itself, or that of a run's folder."""
    if name.is_file():
        return name
    for place in PLACES:
        if (name / place / LOG).is_file():
            return name / place / LOG
    raise UsageError(f"There is no {LOG} in {str(name)!r}.")


def read_curves(path: Path) -> dict[str, Curve]:
    """Every figure of the log by its name."""
    curves: dict[str, Curve] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # the last line of a run that goes on
            continue
        if not isinstance(row, dict) or not isinstance(row.get("step"), int | float):
            continue
        for name, value in row.items():
            if name not in ASIDE and isinstance(value, int | float) and math.isfinite(value):
                curves.setdefault(name, []).append((row["step"], value))
    if not curves:
        raise UsageError(f"{str(path)!r} holds no figures yet.")
    return curves


def choose(curves: dict[str, Curve], names: Sequence[str]) -> dict[str, Curve]:
    """Those asked for, or all."""
    missing = [name for name in names if name not in curves]
    if missing:
        raise UsageError(f"The log has no {missing[0]!r}; it has {', '.join(curves)}.")
    return {name: curves[name] for name in names or curves}


def chart(name: str, curve: Curve) -> str:
    """One curve as lines of text: the mean of each column's steps, from its lowest value to its highest."""
    first, last = curve[0][0], curve[-1][0]
    columns: list[list[float]] = [[] for _ in range(WIDTH)]
    for step, value in curve:
        place = 0 if last == first else round((step - first) / (last - first) * (WIDTH - 1))
        columns[place].append(value)
    means = [sum(values) / len(values) if values else None for values in columns]
    known = [mean for mean in means if mean is not None]
    low, high = min(known), max(known)
    eighths: list[int | None] = []
    held: float | None = None
    for mean in means:
        held = mean if mean is not None else held  # a gap goes on as it was
        share = 0.5 if held is None or high == low else (held - low) / (high - low)
        eighths.append(None if held is None else 1 + round(share * (8 * HEIGHT - 1)))
    ends = (f"{high:.4g}", f"{low:.4g}")
    margin = max(map(len, ends))
    lines = [f"{name}: {curve[0][1]:.4g} at step {first:g}, {curve[-1][1]:.4g} at step {last:g}"]
    for row in range(HEIGHT - 1, -1, -1):
        cells = "".join(_cell(level, row) for level in eighths)
        label = ends[0] if row == HEIGHT - 1 else ends[1] if row == 0 else ""
        lines.append(f"{label:>{margin}} {cells.rstrip()}")
    return "\n".join(lines)


def _cell(level: int | None, row: int) -> str:
    filled = 0 if level is None else min(8, max(0, level - 8 * row))
    return LOWER[filled - 1] if filled else " "


def draw_png(curves: dict[str, Curve], path: Path) -> None:
    """One panel for each curve."""
    try:
        import matplotlib
    except ImportError:
        raise UsageError("A PNG needs matplotlib: pip install matplotlib, or leave -o away for a chart here.") from None
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.2 * len(curves)), layout="constrained")
    for number, (name, curve) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(len(curves), 1, number)
        axes.plot([step for step, _ in curve], [value for _, value in curve], marker="." if len(curve) < 40 else "")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    axes.set_xlabel("step")
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise explain(path, error) from error
    except Exception as error:  # whatever a drawing library may raise
        raise OutputError(f"The plot cannot be drawn: {error}.") from error
