"""How likely a model finds a text after what it heard, and captions chosen by it.

`losses` are the mean cross-entropy of a text's tokens, in nats. The captioner's own loss ranks sounds for a text and
texts for a sound without any training for it (Labbé, Pellegrini and Pinquier 2023).

`refined` lets the model propose captions, the greedy one and all that a beam search has in hand at its end, and keeps
what the sound speaks for. One is the likelier, the less surprised the model is to read it after this sound; and the
truer, the surer the tag head is of the sounds it speaks of. Likelihood alone prefers what is safe to say, tags alone
what is short: the sum of both, in nats, decides. It costs a search of four beams and one reading of the proposals.
Another judge, such as a CLAP model, may add its own nats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from samcli.errors import ModelError
from samcli.models.interface import SoundModel, SpeakOptions
from samcli.models.listener_state import ListenerState
from samcli.models.sam import Listener
from samcli.text.judge import nonsense
from samcli.text.labels import agreement
from samcli.text.prompts import caption_prompt

PAIRS = 96  # of a sound and a text, read together
BEAMS = 4  # of the search for proposals
TAG_SHARE = 1.0  # of the tags' nats beside those of the model; chosen on every seventh development clip

Judge = Callable[[int, Sequence[str]], Sequence[float]]


def losses(model: SoundModel, state: Any, count: int, texts: Sequence[str]) -> Tensor:
    """(count, texts): of each text as a caption of each of the `count` sounds in a batched state."""
    pairs = [(sound, text) for text in texts for sound in range(count)]
    return pair_losses(model, state, pairs).reshape(len(texts), count).T


@torch.inference_mode()
def pair_losses(model: SoundModel, state: Any, pairs: Sequence[tuple[int, str]]) -> Tensor:
    """(pairs,): of a text as a caption of the sound in one row of the state, for any pairs of the two."""
    listener = listener_of(model)
    tokenizer = listener.tokenizer
    assert tokenizer is not None
    opening = caption_prompt(tokenizer)
    tokens = {text: [*opening, *tokenizer.encode(text), tokenizer.eos] for _, text in pairs}
    found = torch.empty(len(pairs))
    # Texts of like length together, each batch over as many sounds as fit.
    order = sorted(range(len(pairs)), key=lambda place: len(tokens[pairs[place][1]]))
    for at in range(0, len(order), PAIRS):
        batch = order[at : at + PAIRS]
        rows = [tokens[pairs[place][1]] for place in batch]
        found[batch] = _losses(listener, model.select(state, [pairs[place][0] for place in batch]), rows, len(opening))
    return found


def _losses(listener: Listener, state: Any, rows: list[list[int]], opening: int) -> Tensor:
    """(batch,): one text per row of the state."""
    network = listener.network
    device = next(network.parameters()).device
    longest = max(len(row) for row in rows)
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)  # (batch, tokens)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    place = torch.arange(longest, device=device)
    spoken = (place >= opening) & (place < lengths[:, None])  # (batch, tokens)
    memory, context = state, None
    if isinstance(state, ListenerState):
        memory = state.memory
        context = network.tag_reader.context(state.tags) if network.config.reads_tags else None
    logits = network.predict(tokens, lengths, spoken, memory, context)
    each = F.cross_entropy(logits.float(), tokens[spoken], reduction="none")
    total = torch.zeros(len(rows), device=device).index_add(0, spoken.nonzero()[:, 0], each)
    return total.div(spoken.sum(1)).cpu()


def listener_of(model: SoundModel) -> Listener:
    if not isinstance(model, Listener) or "caption" not in model.tasks:
        raise ModelError(f"{model.name} cannot say how likely a text is: it has no voice. sam-nano can.")
    return model


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
