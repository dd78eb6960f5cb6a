"""Captions chosen among several: the model proposes, and keeps what the sound speaks for.

The proposals are the greedy caption and all that a beam search has in hand at its end. One is the likelier, the less
surprised the model is to read it after this sound; and the truer, the surer the tag head is of the sounds it speaks of.
Likelihood alone prefers what is safe to say, tags alone what is short: the sum of both, in nats, decides. It costs a
search of four beams and one reading of the proposals. Another judge, such as a CLAP model, may add its own nats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samcli.models.interface import SoundModel, SpeakOptions
from samcli.models.likelihood import listener_of, pair_losses
from samcli.models.listener_state import ListenerState
from samcli.text.judge import nonsense
from samcli.text.labels import agreement

Judge = Callable[[int, Sequence[str]], Sequence[float]]

BEAMS = 4
TAG_SHARE = 1.0  # of the tags' nats beside those of the model; chosen on every seventh development clip


def refined(model: SoundModel, state: Any, count: int, options: SpeakOptions, judge: Judge | None = None) -> list[str]:
    """One caption for each of the `count` sounds in a batched state; `judge` adds nats to the texts for a row."""
    choices = proposals(model, state, count, options)
    pairs = [(row, text) for row, texts in enumerate(choices) if len(texts) > 1 for text in texts]
    losses = iter(pair_losses(model, state, pairs).tolist() if pairs else ())
    tags = _probabilities(model, state)
    chosen = []
    for row, texts in enumerate(choices):
        if len(texts) < 2:
            chosen.append("".join(texts))
            continue
        scores = [-next(losses) for _ in texts]
        if tags is not None:
            scores = [
                score + TAG_SHARE * agreement(text, tags[row], model.labels)
                for score, text in zip(scores, texts, strict=True)
            ]
        if judge is not None:
            scores = [score + more for score, more in zip(scores, judge(row, texts), strict=True)]
        chosen.append(texts[int(np.argmax(scores))])
    return chosen


def proposals(model: SoundModel, state: Any, count: int, options: SpeakOptions) -> list[list[str]]:
    """Different captions for each sound, the greedy one first."""
    prompts = [""] * count
    greedy = model.speak(state, prompts, replace(options, beams=1))
    wide = listener_of(model).propose(state, prompts, replace(options, beams=max(BEAMS, options.beams or 1)))
    return [_sensible(dict.fromkeys([first, *others])) for first, others in zip(greedy, wide, strict=True)]


def _sensible(texts: Iterable[str]) -> list[str]:
    """Those that make sense, or all that say anything."""
    said = [text for text in texts if text]
    return [text for text in said if not nonsense(text)] or said


def _probabilities(model: SoundModel, state: Any) -> NDArray[np.float32] | None:
    """(sounds, classes) that the tag head heard; None for a model whose memory does not hold them."""
    if not isinstance(state, ListenerState) or state.tags.highest.shape[1] != len(model.labels):
        return None
    found: NDArray[np.float32] = state.tags.highest.float().cpu().numpy()
    return found
