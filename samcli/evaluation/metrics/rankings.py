"""Rankings that `sam search` wrote against reference captions: recall and mean average precision, either way.

For a sentence the right recordings are those it is a caption of; for a recording the right sentences are its captions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.errors import UsageError
from samcli.evaluation.datasets import References, stem
from samcli.evaluation.figures import Figure, share
from samcli.evaluation.predictions import Mismatch

Ranked = dict[str, list[str]]  # what was found for each query, best first
CUTS = (1, 5, 10)


def are_rankings(entries: Sequence[Mapping[str, Any]]) -> bool:
    return bool(entries) and {"rank", "query", "path"} <= entries[0].keys()


def ranking_figures(
    entries: Sequence[Mapping[str, Any]], truth: References
) -> tuple[int, list[Figure], dict[str, Any]]:
    """How many queries there are, their figures, and nothing more."""
    if truth.kind != "captions":
        raise UsageError(f"Rankings are judged by captions, not by {truth.kind}.")
    names = {name: item.id for item in truth.items.values() for name in (item.id, *item.also)}
    owners: dict[str, set[str]] = {}
    for item in truth.items.values():
        for caption in item.captions:
            owners.setdefault(_plain(caption), set()).add(item.id)
    captions = {item.id: {_plain(caption) for caption in item.captions} for item in truth.items.values()}
    by_text, by_sound = _read(entries, names)
    figures: list[Figure] = []
    for key, name, found, right in (
        ("text_audio", "text to sound", by_text, owners),
        ("audio_text", "sound to text", by_sound, captions),
    ):
        if found:
            figures += _figures(key, name, found, right)
    return len(by_text) + len(by_sound), figures, {}


def _figures(key: str, name: str, found: Ranked, right: Mapping[str, set[str]]) -> list[Figure]:
    unasked = [query for query in right if query not in found]
    unknown = [query for query in found if query not in right]
    if unasked or unknown:
        raise Mismatch(unasked, unknown)
    return ranked_figures(key, name, [frozenset(right[query]) for query in found], list(found.values()))


def ranked_figures(
    key: str, name: str, relevant: Sequence[frozenset[str]], ranked: Sequence[Sequence[str]]
) -> list[Figure]:
    """Recall and mean average precision, of what is right for each query and what was found for it, best first."""
    figures = [share(f"{key}_r{cut}", f"{name}, R@{cut}", recall_hits(relevant, ranked, cut)) for cut in CUTS]
    return [*figures, share(f"{key}_map10", f"{name}, mAP@10", average_precisions(relevant, ranked))]


def _read(entries: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> tuple[Ranked, Ranked]:
    """What was found for sentences, and for sounds."""
    by_text: Ranked = {}
    by_sound: Ranked = {}
    for entry in sorted(entries, key=_rank):
        sound = names.get(stem(str(entry["path"])), stem(str(entry["path"])))
        if entry.get("query"):
            by_text.setdefault(_plain(str(entry["query"])), []).append(sound)
        else:
            by_sound.setdefault(sound, []).append(_plain(str(entry.get("caption") or "")))
    return by_text, by_sound


def _rank(entry: Mapping[str, Any]) -> int:
    try:
        return int(entry["rank"])
    except (KeyError, TypeError, ValueError):
        raise UsageError("A row of a ranking has no rank.") from None


def _plain(text: str) -> str:
    return " ".join(text.split())


def recall_hits(relevant: Sequence[frozenset[str]], ranked: Sequence[Sequence[str]], cut: int) -> NDArray[np.bool_]:
    """For each query whether a right item is among the first `cut`."""
    return np.array(
        [not right.isdisjoint(list(found)[:cut]) for right, found in zip(relevant, ranked, strict=True)], bool
    )


def average_precisions(
    relevant: Sequence[frozenset[str]], ranked: Sequence[Sequence[str]], cut: int = 10
) -> NDArray[np.float64]:
    """For each query the mean precision at its right items among the first `cut`, of as many as could be there."""
    values = []
    for right, found in zip(relevant, ranked, strict=True):
        hits, total = 0, 0.0
        for place, item in enumerate(list(found)[:cut], 1):
            if item in right:
                hits += 1
                total += hits / place
        values.append(total / max(1, min(len(right), cut)))
    return np.array(values, np.float64)


def ranked_by(scores: NDArray[np.floating], names: Sequence[str]) -> list[list[str]]:
    """The names by falling score (queries, items); equal scores in the order of the names given."""
    return [[names[int(place)] for place in np.argsort(-row, kind="stable")] for row in scores]
