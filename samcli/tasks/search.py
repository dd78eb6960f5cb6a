"""Search: recordings for a sentence, and sentences for a recording.

The measure is the captioner's own cross-entropy: how likely the model finds the sentence after hearing the sound.
Without an index every recording is heard. With one, tags and captions on disk make a shortlist, and only its windows
are heard again. Sentences compete with each other only after what makes them likely in general is taken off.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samcli.engine.find import Input
from samcli.engine.hearing import Wave, hear
from samcli.engine.index import Index, Window, read_windows
from samcli.errors import InputError
from samcli.models.interface import SoundModel
from samcli.models.likelihood import prior
from samcli.text.labels import mentions, narrower

SHORTLIST = 100
LOT_WINDOWS = 64  # heard together without an index
FLOOR = 1e-3  # of a tag's probability, so that one missing sound does not outweigh all others
WORD_SHARE = 2.0  # nats that a shortlist gives for sharing all words with a caption
WORD = re.compile(r"[a-z]{3,}")
PLAIN_WORDS = frozenset(
    ["and", "the", "with", "while", "then", "are", "can", "heard", "sound", "sounds", "some", "someone"]
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Hit:
    """A recording and the seconds of it that fit best."""

    path: str
    start: float  # seconds
    end: float
    score: float  # higher fits better: the negative loss, in nats per token
    caption: str = ""  # what the index says of these seconds


@dataclass(frozen=True)
class Match:
    """A sentence for a recording."""

    text: str
    score: float


def search(query: str, inputs: Iterable[Input], model: SoundModel, k: int = 10) -> list[Hit]:
    """The recordings that a sentence fits best, all of them heard now; a file that cannot be heard is passed over."""
    best: dict[str, Hit] = {}
    waiting: list[tuple[str, float, Wave]] = []

    def judge() -> None:
        for (path, start, wave), loss in zip(waiting, _losses(model, [w for *_, w in waiting], query), strict=True):
            if loss is not None and (path not in best or -loss > best[path].score):
                best[path] = Hit(path, start, start + len(wave) / model.sample_rate, -loss)
        waiting.clear()

    for item in inputs:
        try:
            for start, wave in read_windows(item, model):
                waiting.append((item.display, start, wave))
                if len(waiting) >= LOT_WINDOWS:
                    judge()
        except InputError:
            continue
    judge()
    return sorted(best.values(), key=lambda hit: -hit.score)[:k]


def search_index(query: str, index: Index, model: SoundModel, k: int = 10, shortlist: int = SHORTLIST) -> list[Hit]:
    """The same from an index: its tags and captions choose `shortlist` recordings, which are heard again and ranked.

    With `shortlist` 0 nothing is heard again and the first stage's order stands.
    """
    windows = index.windows()
    scores = shortlist_scores(query, windows, index.tags(), index.labels)
    chosen: dict[str, int] = {}  # the best window of each recording
    for place in np.argsort(-scores, kind="stable"):
        chosen.setdefault(windows[place].path, int(place))
        if len(chosen) >= max(k, shortlist):
            break
    first = [Hit(*windows[place][:3], float(scores[place]), windows[place].caption) for place in chosen.values()]
    if not shortlist:
        return first[:k]
    heard = [(hit, wave) for hit in first if (wave := _again(hit, model)) is not None]
    losses = _losses(model, [wave for _, wave in heard], query)
    ranked = [
        Hit(hit.path, hit.start, hit.end, -loss, hit.caption)
        for (hit, _), loss in zip(heard, losses, strict=True)
        if loss is not None
    ]
    return sorted(ranked, key=lambda hit: -hit.score)[:k]


def search_captions(
    waves: Sequence[Wave], texts: Sequence[str], model: SoundModel, k: int = 10, normalised: bool = True
) -> list[list[Match]]:
    """For each sound the sentences that fit it best; silence fits none."""
    found = hear(model, waves, given=texts)
    usual = prior(model, texts).numpy() if normalised else np.zeros(len(texts))
    matches: list[list[Match]] = []
    for one in found:
        scores = np.zeros(0) if one.losses is None else usual - one.losses
        order = np.argsort(-scores, kind="stable")[:k]
        matches.append([Match(texts[place], float(scores[place])) for place in order])
    return matches


def shortlist_scores(query: str, windows: Sequence[Window], tags: NDArray[np.float32], labels: Sequence[str]) -> Floats:
    """(windows,): how well tags and captions fit a sentence, in nats; only the order matters."""
    place = {label: column for column, label in enumerate(labels)}
    scores = np.zeros(len(windows))
    sounds = mentions(query)
    for sound in sounds:
        wanted = {name for label in sound.labels for name in (label, *narrower(label))}
        columns = [place[name] for name in wanted if name in place]
        if columns:
            scores += np.log(np.maximum(tags[:, columns].max(1), FLOOR)) / len(sounds)
    return scores + WORD_SHARE * shared_words(query, [window.caption for window in windows])


def shared_words(query: str, captions: Sequence[str]) -> Floats:
    """(captions,): the share of the query's words that each caption has too, rare words counting more."""
    wanted = _stems(query)
    if not wanted or not captions:
        return np.zeros(len(captions))
    bags = [_stems(caption) for caption in captions]
    seen = Counter(word for bag in bags for word in bag)
    weight = {word: math.log(1 + len(captions) / (1 + seen[word])) for word in wanted}
    total = sum(weight.values())
    return np.array([sum(weight[word] for word in wanted & bag) / total for bag in bags])


def _stems(text: str) -> frozenset[str]:
    """Words by their beginnings: "barks" and "barking" are one."""
    return frozenset(word.rstrip("s")[:4] for word in WORD.findall(text.lower()) if word not in PLAIN_WORDS)


def _losses(model: SoundModel, waves: Sequence[Wave], query: str) -> list[float | None]:
    """Of the query after each window; None for silence."""
    return [None if one.losses is None else float(one.losses[0]) for one in hear(model, waves, given=[query])]


def _again(hit: Hit, model: SoundModel) -> Wave | None:
    """The window of a hit, read anew; None when the file is gone or no longer reaches so far."""
    item = Input(hit.path, hit.path, None, hit.path)
    try:
        return next((wave for start, wave in read_windows(item, model) if start >= hit.start - 1e-6), None)
    except InputError:
        return None
