"""One token at a time through a Mamba-2 language model on a card: three launches a layer beside its two products."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from samcli.ssm.card.graphs import Captures
from samcli.ssm.fast.linear import unpickled_as_none
from samcli.ssm.language.blocks import Backbone, ResidualBlock
from samcli.ssm.mamba2 import Mamba2
from samcli.ssm.state import BlockState, State
from samcli.ssm.triton import choice

if TYPE_CHECKING:
    from samcli.ssm.language.reader import RecurrentReader


class CardDecoder:
    """Steps of tokens are captured; a step from embeddings belongs to whoever captures more than the model."""

    def __init__(self, model: RecurrentReader) -> None:
        self.model = model
        self.captures = Captures(lambda tokens, state: self.step_from(model.embed(tokens), state, True))

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return unpickled_as_none, ()

    def step(self, tokens: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        return self.captures.step(tokens, state, owned)

    @torch.no_grad()
    def step_from(self, embeddings: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        if not choice.applies(embeddings, state[0].ssm):
            return self.model.plain_step_from(embeddings, state)
        from samcli.ssm.triton.norms import added_norm

        backbone = cast(Backbone, self.model.backbone)
        stream = embeddings.to(torch.float32, copy=True)  # (rows, d_model); the layers add to it
        added: Tensor | None = None
        states: list[BlockState] = []
        for layer, old in zip(backbone.layers, state, strict=True):
            norm, mixer = cast(ResidualBlock, layer).norm, cast(Mamba2, layer.mixer)
            heard = added_norm(stream, added, norm.weight, norm.eps)
            y, new = mixer.stepped(mixer.in_proj(heard[:, None]), old, owned)
            added = mixer.out_proj(y)[:, 0]
            states.append(new)
        last = backbone.norm_f
        return self.model.lm_head(added_norm(stream, added, last.weight, last.eps)), tuple(states)
