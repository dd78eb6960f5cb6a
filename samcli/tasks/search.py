"""Search: recordings for a sentence, and sentences for a recording.

The measure is the captioner's own cross-entropy: how likely the model finds the sentence after hearing the sound.
Without an index every recording is heard, for its tags first (search_quickly.py) or for the sentence at once. With one,
what is on disk (tags, captions, embeddings) makes a shortlist, and only its windows are heard again. Sentences compete
with each other only after what makes them likely after any sound is taken off. The shares below were chosen on every
fourth development clip.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samcli.audio import read_sound
from samcli.engine.hearing import Wave, hear
from samcli.engine.index.store import Contents
from samcli.engine.index.store import Window as Entry
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import input_error, open_input
from samcli.engine.run import gathered
from samcli.engine.task import Heard, Task, Window
from samcli.engine.windows import Cut, cut
from samcli.errors import InputError
from samcli.models.interface import SoundModel
from samcli.text.labels import FLOOR, columns_of

SHORTLIST = 100
READERS = 4  # threads that read the shortlist anew
WORD_SHARE = 2.0  # nats that a shortlist gives for sharing all words with a caption
EXAMPLES = 10  # of the windows that fit best, to which those that sound alike are drawn near
ALIKE_SHARE = 1.0  # nats for sounding like them
FIRST_SHARE = 0.25  # of a shortlist's nats beside one nat of loss: 0 is the loss alone
USUAL_SHARE = 0.6  # of a sentence's usual loss that is taken off: all of it favours odd sentences
FITS = 0.6  # least `fit` of what is said to fit
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
    fit: float | None = None  # the score on a scale for people, from 0 to 1; None before it is known what is usual


@dataclass(frozen=True)
class Match:
    """A sentence for a recording."""

    text: str
    score: float


def rated(queries: Sequence[str], rankings: Sequence[list[Hit]], model: SoundModel | None) -> list[list[Hit]]:
    """Rankings with how well each hit fits: 0.5 is no better than any other sound does, 1 perfect.

    Without a model they are those of tags and captions alone, whose scores know of no losses.
    """
    usual = usual_losses(queries, model).tolist() if model is not None and any(rankings) else [0.0] * len(queries)
    return [
        [replace(hit, fit=1 / (1 + math.exp(min(50.0, -hit.score - loss)))) for hit in hits]
        for hits, loss in zip(rankings, usual, strict=True)
    ]


def search_heard(
    queries: Sequence[str],
    inputs: Iterable[Input],
    model: SoundModel,
    k: int = 10,
    failed: Callable[[Input, InputError], None] = lambda item, error: None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[list[Hit]]:
    """For each sentence the recordings it fits best, each heard once. `failed` is told what cannot be heard."""
    found: list[list[Hit]] = []  # of each recording, its best window for each query
    for done in gathered(SearchTask(given=tuple(queries)), inputs, model):
        if done.error is not None:
            failed(done.job.item, done.error)
        windows = [hits for hits in done.records if hits] if done.error is None else []
        if windows:
            found.append([max(hits, key=lambda hit: hit.score) for hits in zip(*windows, strict=True)])
        progress(done.job.index + 1)
    return [sorted((hits[place] for hits in found), key=lambda hit: -hit.score)[:k] for place in range(len(queries))]


@dataclass(frozen=True)
class SearchTask(Task):
    """How likely each of the `given` sentences is after each window."""

    given: tuple[str, ...] = ()
    each_window: bool = True
    name: str = "search"

    def gatherer(self) -> SearchGatherer:
        return SearchGatherer()


class SearchGatherer:
    """One window."""

    def add(self, window: Window) -> None:
        self.start, self.end = window.start, window.end

    def records(self, heard: Heard, text: str | None) -> list[list[Hit]]:
        """A hit for each sentence; none of silence."""
        losses = [] if heard.losses is None else heard.losses.tolist()
        return [[Hit(heard.path, self.start, self.end, -loss) for loss in losses]]


def search_contents(
    query: str,
    contents: Contents,
    labels: Sequence[str],
    model: SoundModel | None,
    k: int = 10,
    shortlist: int = SHORTLIST,
) -> list[Hit]:
    """The same from an index: its tags and captions choose `shortlist` recordings, which are heard again and ranked.

    With `shortlist` 0 or without a model nothing is heard again and the first stage's order stands.
    """
    windows = contents.windows
    scores = shortlist_scores(query, windows, contents.tags, labels, contents.embeddings)
    chosen: dict[str, int] = {}  # the best window of each recording
    for place in np.argsort(-scores, kind="stable"):
        chosen.setdefault(windows[place].path, int(place))
        if len(chosen) >= max(k, shortlist):
            break
    first = [Hit(*windows[place][:3], float(scores[place]), windows[place].caption) for place in chosen.values()]
    if model is None or not shortlist:
        return first[:k]
    with ThreadPoolExecutor(READERS) as pool:
        waves = list(pool.map(functools.partial(_again, model=model), first))
    heard = [(hit, wave) for hit, wave in zip(first, waves, strict=True) if wave is not None]
    losses = _losses(model, [wave for _, wave in heard], query)
    ranked = [
        replace(hit, score=FIRST_SHARE * hit.score - loss)
        for (hit, _), loss in zip(heard, losses, strict=True)
        if loss is not None
    ]
    return sorted(ranked, key=lambda hit: -hit.score)[:k]


def search_captions(
    waves: Sequence[Wave], texts: Sequence[str], model: SoundModel, k: int = 10, usual: Floats | None = None
) -> list[list[Match]]:
    """For each sound the sentences that fit it best; silence fits none. `usual` are the `usual_losses` of the texts."""
    common = np.zeros(len(texts)) if usual is None else USUAL_SHARE * usual
    matches: list[list[Match]] = []
    for one in hear(model, waves, given=texts):
        scores = np.zeros(0) if one.losses is None else common - one.losses
        order = np.argsort(-scores, kind="stable")[:k]
        matches.append([Match(texts[place], float(scores[place])) for place in order])
    return matches


def read_wave(item: Input, model: SoundModel) -> Wave:
    """A whole recording as the model hears it."""
    try:
        with open_input(item, model.sample_rate) as reader:
            blocks = list(reader)
    except Exception as error:
        raise input_error(error, item) from error
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def usual_losses(texts: Sequence[str], model: SoundModel) -> Floats:
    """(texts,): of each sentence after sounds that have nothing to do with it, for which the demo clips stand."""
    folder = Path(__file__).resolve().parent.parent / "data" / "demo"
    waves = [read_sound(path, model.sample_rate) for path in sorted(folder.glob("*.opus"))]
    found = [one.losses for one in hear(model, waves, given=texts) if one.losses is not None]
    return np.asarray(np.mean(found, axis=0), np.float64)


def shortlist_scores(
    query: str,
    windows: Sequence[Entry],
    tags: NDArray[np.float32],
    labels: Sequence[str],
    embeddings: NDArray[np.float32] | None = None,
) -> Floats:
    """(windows,): how well tags and captions fit a sentence, in nats; only the order matters.

    With embeddings, windows that sound like those that fit best are drawn near: a bark whose tag is weak is found by
    the company of clearer ones. Where nothing fits better than the rest there are no such windows.
    """
    place = {label: column for column, label in enumerate(labels)}
    scores = np.zeros(len(windows))
    sounds = columns_of(query, place)
    for columns in sounds:
        if columns:
            scores += np.log(np.maximum(tags[:, columns].max(1), FLOOR)) / len(sounds)
    scores += WORD_SHARE * shared_words(query, [window.caption for window in windows])
    if embeddings is not None and embeddings.size and scores.max() > scores.min():
        scores += ALIKE_SHARE * like_the_best(scores, embeddings)
    return scores


def like_the_best(scores: Floats, embeddings: NDArray[np.float32]) -> Floats:
    """(windows,): the cosine of each with the mean of the best few, the better ones counting more."""
    best = np.argsort(-scores, kind="stable")[:EXAMPLES]
    weights = np.exp(scores[best] - scores[best[0]])
    example = weights @ embeddings[best]
    length = float(np.linalg.norm(example))
    return np.asarray(embeddings @ (example / length), np.float64) if length else np.zeros(len(scores))


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
    how = Cut(model.sample_rate, model.window_seconds, step_seconds=model.step_seconds)
    try:
        with open_input(item, model.sample_rate) as reader:
            return next((one.wave for one in cut(reader, how) if one.start >= (hit.start - 1e-6) * how.rate), None)
    except Exception:  # whatever a decoder may come up with
        return None
