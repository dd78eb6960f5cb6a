"""Sources that the shipped model never learned from, although they are in the corpus' part to learn from.

What was chosen on development clips flatters them; nothing was chosen on these. Their labels are guesses from file
names: figures compare models, they do not say how good one is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samcli.audio import read_sound
from samcli.engine.hearing import Progress, hear
from samcli.evaluation.figures import Figure, interval_over
from samcli.evaluation.nano.dev_sounds import RATE
from samcli.evaluation.nano.tags import POSITIVES
from samcli.evaluation.nano.targets import table_figure
from samcli.models.interface import SoundModel
from samcli.training.nano.corpus import Clip, Corpus
from samcli.training.precision import mean_precision

LEFT_OUT = (
    "debian/openssn-data", "github/APercy/steampunk_blimp", "github/Bremaweb/adventuretest",
    "github/CytopiaTeam/Cytopia", "github/FGMEMBERS/ec130", "github/FaceDeer/ambient_test",
    "github/GoogleChromeLabs/web-audio-samples", "github/MT-CTF/capturetheflag", "github/RedundantC/wis_part1",
    "github/SoftbearStudios/mk48", "github/Teshynil/combatready", "github/ValyriaTear/ValyriaTear",
    "github/cxong/cdogs-sdl", "github/hainguyents13/mechvibes", "github/hsbakshi/ambient-engine",
    "github/iver56/audiomentations", "github/jonasoh/trash_sorting_game", "github/minetest-mirrors/mob_horse",
    "github/sfence/Creative-Oasis-minetest-game", "github/sfence/hades_revisited", "github/skywind3000/vim-keysound",
    "github/subhm2004/Thockpit", "github/t-affeldt/regional_weather", "github/zenorogue/hyperrogue",
)  # fmt: skip
FIRST = 5
LOT = 64  # clips in memory at once
DRAWS = 200  # each sorts every class anew
KEYS = ("left_out_first_five", "left_out_map", "left_out_error")

Scores = NDArray[np.float32]
Truth = NDArray[np.bool_]
Measure = Callable[[NDArray[np.int64]], float]
BINS = 15
LEAST = 0.05  # what is scored lower is not called a tag


def left_out_figures(model: SoundModel, corpus: Corpus, every: int, progress: Progress) -> list[Figure]:
    """A right tag among the first five, mean average precision, and how far scores are from being probabilities."""
    clips = left_out_clips(corpus)[::every]
    if not clips:
        return [table_figure(key, None, note="the corpus has none of these sources") for key in KEYS]
    scores, sources = scores_of(model, corpus, clips, progress), [clip.source for clip in clips]
    named = truth_of(clips, corpus, ancestors=False)
    hits = first_hits(scores, named)
    wanted = np.flatnonzero(named.sum(0) >= POSITIVES)
    right = truth_of(clips, corpus, ancestors=True)
    measures: tuple[tuple[Measure, str], ...] = (
        (lambda rows: float(hits[rows].mean()), ""),
        (lambda rows: mean_precision(named[rows], scores[rows], wanted), f"over {len(wanted)} classes"),
        (lambda rows: calibration_error(scores[rows], right[rows]), "15 bins"),
    )
    figures = []
    for key, (measure, note) in zip(KEYS, measures, strict=True):
        value = measure(np.arange(len(clips)))
        if not np.isfinite(value):
            figures.append(table_figure(key, None, note="too few clips of any class"))
            continue
        low, high = interval_over(measure, sources, DRAWS)
        figures.append(table_figure(key, value, low=low, high=high, count=len(clips), note=note))
    return figures


def left_out_clips(corpus: Corpus, sources: Sequence[str] = LEFT_OUT) -> list[Clip]:
    """Labelled clips of the sources left out, by their files' names."""
    found = [
        clip for clip in corpus.split("train") if clip.source in sources and clip.audioset and clip.trust != "none"
    ]
    return sorted(found, key=lambda clip: clip.file)


def scores_of(model: SoundModel, corpus: Corpus, clips: Sequence[Clip], progress: Progress) -> Scores:
    """(clips, names of the corpus): the highest score of each name over a clip's windows."""
    place = {name: column for column, name in enumerate(model.labels)}
    pairs = [(column, place[name]) for column, name in enumerate(corpus.names) if name in place]
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    scores = np.zeros((len(clips), len(corpus.names)), np.float32)
    for at in range(0, len(clips), LOT):
        waves = [read_sound(corpus.folder / clip.file, RATE) for clip in clips[at : at + LOT]]
        for row, one in enumerate(hear(model, waves, rate=RATE), at):
            if one.tags is not None:
                scores[row, ours] = one.tags[theirs]
        progress("hearing sources left out", min(at + LOT, len(clips)), len(clips))
    return scores


def truth_of(clips: Sequence[Clip], corpus: Corpus, ancestors: bool) -> Truth:
    """(clips, names): what a clip's label names, with all that these are kinds of or without."""
    place = {name: column for column, name in enumerate(corpus.names)}
    above = ancestors_of(corpus.folder / "ontology.json") if ancestors else {}
    truth = np.zeros((len(clips), len(place)), bool)
    for row, clip in enumerate(clips):
        names = {name for own in clip.audioset for name in (own, *above.get(own, ()))}
        truth[row, [place[name] for name in names if name in place]] = True
    return truth


def ancestors_of(ontology: Path) -> dict[str, frozenset[str]]:
    """Every name with all that it is a kind of."""
    nodes = {node["id"]: node for node in json.loads(ontology.read_text(encoding="utf-8"))}
    parents: dict[str, set[str]] = {}
    for node in nodes.values():
        for child in node["child_ids"]:
            if child in nodes:
                parents.setdefault(nodes[child]["name"], set()).add(node["name"])

    def above(name: str) -> frozenset[str]:
        found: set[str] = set()
        waiting = list(parents.get(name, ()))
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += parents.get(one, ())
        return frozenset(found)

    return {node["name"]: above(node["name"]) for node in nodes.values()}


def first_hits(scores: Scores, truth: Truth) -> Truth:
    """Whether one of each clip's first tags is right."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :FIRST]
    return np.asarray(np.take_along_axis(truth, best, 1).any(1), bool)


def calibration_error(scores: Scores, truth: Truth) -> float:
    """How far scores are from how often they are right: the expected calibration error of all tags; NaN without any.

    Tags of like scores go together; of each such bin the mean score should be the share that is right.
    """
    chosen = scores >= LEAST
    score, right = scores[chosen].astype(np.float64), truth[chosen]
    if not score.size:
        return float("nan")
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    scored = np.bincount(place, score, minlength=BINS)
    were_right = np.bincount(place, right, minlength=BINS)
    return float(np.abs(scored - were_right).sum() / score.size)
