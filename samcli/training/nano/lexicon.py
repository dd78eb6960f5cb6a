"""The lexicon a model starts with: which tokens people use when which classes are heard, by counting.

A language model could find out by itself that "barking" speaks of the class Bark, but it takes a hundred thousand
sentences. Counting captions of single sounds tells it at once; training then refines every entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

import numpy as np
import torch
from torch import Tensor

from samcli.models.listener_state import amplify_small
from samcli.text.tokenizer import Tokenizer
from samcli.training.language.captions import write_caption
from samcli.training.language.scenes import Event, Scene
from samcli.training.language.script import Scripts
from samcli.training.nano.batches import Sampler

LEAST_TIMES = 3.0  # a token is used with a class before the two are associated
LEAST_LIFT = 1.0  # nats: a token that is used 2.7 times as often as otherwise when the class is heard
HIGHEST_LIFT = 5.0
TEXTS_PER_SOUND = 4  # captions of one sound
SECONDS = 5.0

Pair = tuple[Tensor, Iterable[int]]  # how plainly each class is heard, and the tokens of a text about it


def associations(pairs: Iterable[Pair], vocabulary: int) -> Tensor:
    """(vocabulary, classes), 0 to 1: how much a class makes a token likelier."""
    heard: list[Tensor] = []
    used: list[Tensor] = []
    for classes, tokens in pairs:
        row = torch.zeros(vocabulary)
        row[list(set(tokens))] = 1.0
        heard.append(classes)
        used.append(row)
    sounds, words = torch.stack(heard), torch.stack(used)  # (texts, classes), (texts, vocabulary)
    together = words.T @ sounds
    chance = words.sum(0)[:, None] * sounds.sum(0)[None] / len(sounds)
    lift = torch.log((together + 1e-6) / (chance + 1e-6)).where(together >= LEAST_TIMES, 0.0)
    return ((lift - LEAST_LIFT) / (HIGHEST_LIFT - LEAST_LIFT)).clamp(0, 1)


def single_sounds(scripts: Scripts, sampler: Sampler, tokenizer: Tokenizer, count: int, seed: int) -> Iterator[Pair]:
    """Captions of single clips, in the case of captions and in that of questions."""
    chance, rng = np.random.default_rng(seed), Random(seed)
    found = 0
    while found < count:
        clip = sampler.draw(chance)
        kind = scripts.kind(clip)
        if kind is None:
            continue
        found += 1
        classes = amplify_small(torch.from_numpy(scripts.targets(clip)))
        scene = Scene(SECONDS, (Event(kind, 0.0, SECONDS, rng.uniform(-40, -10)),))
        for number in range(TEXTS_PER_SOUND):
            caption = write_caption(scene, rng)
            yield classes, tokenizer.encode(caption.lower() if number % 2 else caption)
