"""A figure of one recording: its spectrogram, its level, its events as lanes and what is said of it below them."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samcli.audio import open_sound
from samcli.audio.waves import STRETCH_SECONDS, Wave, levels_db
from samcli.errors import UsageError
from samcli.report.entry import Entry
from samcli.report.picture import RANGE_DB, levels_of, stretch

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNDATED: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
RATE = 32_000
MOST_SECONDS = 1800.0  # of a figure: more than a page can show, and what fits in memory
MOST_LANES = 10
COLOURS = ("#3d85c6", "#e69138", "#6aa84f", "#cc4b6c", "#8e7cc3", "#bf9000", "#45a69b", "#a0674b", "#5b7aa5", "#8a9a1f")
Lane = tuple[str, list[tuple[float, float]]]  # a label and its stretches
LIGHT = {"paper": "#ffffff", "ink": "#1b1d22", "line": "#d0d0ca", "map": "magma"}
DARK = {"paper": "#14161b", "ink": "#e9e9e4", "line": "#343944", "map": "magma"}


@dataclass(frozen=True)
class Look:
    """How the figure is to be."""

    start: float = 0.0  # seconds
    end: float | None = None
    width: float = 10.0  # inches
    height: float | None = None  # None: as the lanes need
    dark: bool = False


def check_figure(path: Path) -> None:
    """Refuse what cannot be drawn, before anything is heard."""
    if path.suffix.lower() not in UNDATED:
        raise UsageError(f"A figure is written to {', '.join(UNDATED)}, not to {path.name!r}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("Figures need matplotlib: pip install 'samcli[report]'.") from None


def draw(entry: Entry, sound: Path, look: Look, suffix: str) -> bytes:
    """The figure as a file of this kind."""
    wave, end = read_stretch(sound, look)
    figure = _figure(entry, wave, look, end)
    target = io.BytesIO()
    # Without a date, the same sound gives the same file.
    figure.savefig(target, format=suffix.removeprefix("."), dpi=160, metadata=UNDATED[suffix])
    return target.getvalue()


def read_stretch(sound: Path, look: Look) -> tuple[Wave, float]:
    """The samples from start to end, and where they really end."""
    if look.end is not None and look.end <= look.start:
        raise UsageError(f"--end {look.end:g} is not after --start {look.start:g}.")
    end = look.start + MOST_SECONDS if look.end is None else look.end
    with open_sound(sound, RATE) as reader:
        wave, lasts = stretch(reader, RATE, look.start, end)
    if not len(wave):
        raise UsageError(f"{str(sound)!r} has nothing at {look.start:g} s: it lasts {lasts:.1f} s.")
    if end - look.start > MOST_SECONDS:
        raise UsageError(f"A figure shows at most {MOST_SECONDS:.0f} s: name a stretch with --start and --end.")
    return wave, look.start + len(wave) / RATE


def _figure(entry: Entry, wave: Wave, look: Look, end: float) -> Figure:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    colours = DARK if look.dark else LIGHT
    lanes = lanes_of(entry, look.start, end)
    said = [words for words in entry.words if words[1] > look.start and words[0] < end]
    rows = [3.0, 1.0, max(0.4, 0.26 * len(lanes))]
    height = look.height or 1.4 + 0.62 * sum(rows) + (0.3 if said else 0)
    names: dict[Any, Any] = {"font.family": "sans-serif", "font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "sam"}
    with rc_context({**names, "pdf.fonttype": 42}):
        figure = Figure(figsize=(look.width, height), facecolor=colours["paper"], layout="constrained")
        top, middle, bottom = figure.subplots(3, 1, sharex=True, gridspec_kw={"height_ratios": rows})
        _spectrogram(top, wave, look.start, end, colours["map"])
        _level(middle, wave, look.start, colours["ink"])
        _lanes(bottom, lanes, look.start, end, colours["ink"])
        for axes in (top, middle, bottom):
            _styled(axes, colours)
        bottom.set_xlim(look.start, end)
        bottom.set_xlabel("seconds", color=colours["ink"])
        if said:
            figure.supxlabel(_told(said, look.width), fontsize=9, color=colours["ink"], parse_math=False)
    return figure


def lanes_of(entry: Entry, start: float, end: float) -> list[Lane]:
    """The labels that sound longest between start and end, each with its stretches there."""
    lanes: dict[str, list[tuple[float, float]]] = {}
    for event in entry.events:
        if event.end > start and event.start < end:
            lanes.setdefault(event.label, []).append((max(start, event.start), min(end, event.end)))
    longest = sorted(lanes.items(), key=lambda lane: -sum(stop - begin for begin, stop in lane[1]))
    return longest[:MOST_LANES]


def _spectrogram(axes: Any, wave: Wave, start: float, end: float, colours: str) -> None:
    levels = levels_of(wave, RATE)
    top = float(np.percentile(levels, 99.7))
    axes.imshow(
        levels.T, origin="lower", aspect="auto", cmap=colours, vmin=top - RANGE_DB, vmax=top,
        extent=(start, end, 0, levels.shape[1]), interpolation="nearest",
    )  # fmt: skip
    mel = [2595 * np.log10(1 + hertz / 700) for hertz in (60.0, RATE / 2)]
    ticks = (250, 1000, 4000, 16_000)
    places = [(2595 * np.log10(1 + hertz / 700) - mel[0]) / (mel[1] - mel[0]) * levels.shape[1] for hertz in ticks]
    axes.set_yticks(places, [f"{hertz / 1000:g}" for hertz in ticks])
    axes.set_ylabel("kHz")


def _level(axes: Any, wave: Wave, start: float, ink: str) -> None:
    levels = levels_db(wave, RATE)
    axes.plot(start + (np.arange(len(levels)) + 0.5) * STRETCH_SECONDS, levels, color=ink, linewidth=0.8)
    axes.set_ylim(max(-90.0, float(levels.min())) - 3, min(0.0, float(levels.max()) + 6))
    axes.set_ylabel("dB")


def _lanes(axes: Any, lanes: Sequence[Lane], start: float, end: float, ink: str) -> None:
    for row, (_, stretches) in enumerate(lanes):
        bars = [(begin, stop - begin) for begin, stop in stretches]
        axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=COLOURS[row % len(COLOURS)], linewidth=0)
    axes.set_ylim(max(1, len(lanes)) - 0.5, -0.5)
    names = [textwrap.shorten(label, 28, placeholder="…") for label, _ in lanes]
    axes.set_yticks(range(len(lanes)), [name.replace("$", r"\$") for name in names])
    if not lanes:
        axes.text((start + end) / 2, 0, "no events", ha="center", va="center", color=ink)


def _styled(axes: Any, colours: dict[str, str]) -> None:
    axes.set_facecolor(colours["paper"])
    axes.tick_params(colors=colours["ink"], length=3)
    axes.yaxis.label.set_color(colours["ink"])
    for side in axes.spines.values():
        side.set_color(colours["line"])


def _told(said: Sequence[tuple[float, float, str]], width: float) -> str:
    """The caption of all of it or, where that is not shown, of the stretches that are."""
    lasts = [end - start for start, end, _ in said]
    text = said[0][2] if lasts[0] >= sum(lasts[1:]) - 1 else " ".join(one[2] for one in said)
    return textwrap.fill(text, max(40, round(width * 13)), max_lines=4, placeholder=" …")
