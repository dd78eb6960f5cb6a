"""Captions chosen among several: the model proposes with several beam widths and keeps what the sound speaks for.

Wider beams find likelier sentences, and the likeliest are bland. How much likelier a sentence is after this sound than
in general (`likelihood.surprise`) asks what it says of this sound; the candidate with most of that is kept. Costs one
decoding for each width and one reading of the candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from samcli.models.interface import SoundModel, SpeakOptions
from samcli.models.likelihood import losses, prior

BEAMS = (1, 2, 4)
TOKENS_OF_DOUBT = 0.3  # share of a sentence's own likelihood in its score: none lets odd words in, all is beam search


def refined(
    model: SoundModel, state: Any, count: int, options: SpeakOptions, beams: Sequence[int] = BEAMS
) -> list[str]:
    """One caption for each of the `count` sounds in a batched state."""
    proposals = [model.speak(state, [""] * count, replace(options, beams=width)) for width in beams]
    chosen = []
    for row in range(count):
        texts = list(dict.fromkeys(texts[row] for texts in proposals if texts[row]))
        if len(texts) < 2:
            chosen.append(texts[0] if texts else "")
            continue
        after = losses(model, model.select(state, [row]), 1, texts)[0]
        scores = prior(model, texts) - (1 + TOKENS_OF_DOUBT) * after
        chosen.append(texts[int(scores.argmax())])
    return chosen
