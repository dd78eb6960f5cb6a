"""How likely a model finds a text after what it heard: the mean cross-entropy of the text's tokens, in nats.

The captioner's own loss ranks sounds for a text and texts for a sound without any training for it (Labbé, Pellegrini
and Pinquier 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.errors import ModelError
from samcli.models.interface import SoundModel
from samcli.models.listener_state import ListenerState
from samcli.models.sam import Listener
from samcli.text.prompts import caption_prompt

PAIRS = 96  # of a sound and a text, read together


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
