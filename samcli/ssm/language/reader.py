"""Reading with a recurrent language model: any pieces, any padding, logits only where they are asked for.

A subclass brings the backbone and the head.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from samcli.ssm.fast import kernels
from samcli.ssm.fast.linear import pack, signature, unpack
from samcli.ssm.state import BlockState, State, last_valid, left_to_right, right_to_left, scan_dtype

PREFILL_TOKENS = 1024  # tokens per pass of a long prompt: enough for the matrix products, small enough for memory


class RecurrentBackbone(nn.Module):
    """From embeddings (batch, length, d_model), a state and lengths to normed hidden states and the new state."""

    embedding: nn.Embedding
    layers: nn.ModuleList  # blocks whose `mixer` has an `initial_state(batch)`

    def last_norm(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(
        self, embeddings: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """(batch, length, d_model) normed hidden states and the state after each row's last valid token."""
        x = embeddings.to(scan_dtype(embeddings.dtype))  # the residual stream, whatever the weights are
        states: list[BlockState] = []
        for number, layer in enumerate(self.layers):
            x, new = layer(x, None if state is None else state[number], lengths)
            states.append(new)
        return self.last_norm(x), tuple(states)


class Stepper(Protocol):
    """A quicker way to step, made for the weights as they are."""

    def step(self, tokens: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]: ...

    def step_from(self, embeddings: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]: ...


class RecurrentReader(nn.Module):
    backbone: RecurrentBackbone
    lm_head: nn.Linear
    _decoder: Stepper | None = None
    _prepared: object = None  # the weights that were prepared

    @property
    def vocab_size(self) -> int:
        """Real tokens; ids from here on are padding and never spoken."""
        raise NotImplementedError

    def initial_state(self, batch: int = 1) -> State:
        return tuple(cast(Any, layer).mixer.initial_state(batch) for layer in self.backbone.layers)

    def embed(self, tokens: Tensor) -> Tensor:
        """(batch, length) -> (batch, length, d_model)"""
        x: Tensor = self.backbone.embedding(tokens)
        return x

    def forward(
        self,
        tokens: Tensor | None = None,  # (batch, length)
        embeddings: Tensor | None = None,  # (batch, length, d_model), instead of tokens
        state: State | None = None,
        lengths: Tensor | None = None,  # (batch,) valid positions of each row; None: all
        last_only: bool = False,
        positions: Tensor | None = None,  # (batch, length) bool
        padding: str = "right",
    ) -> tuple[Tensor, State]:
        """Logits and the state after each row's last valid position.

        Logits are (batch, length, vocabulary); with `last_only` (batch, vocabulary), each row's last valid
        position; with `positions` (chosen, vocabulary), in row-major order. The head runs for the positions asked
        for and no others.
        """
        hidden, state = self.read(tokens, embeddings, state, lengths, padding)
        if last_only:
            hidden = hidden[:, -1] if padding == "left" else last_valid(hidden, lengths)
        elif positions is not None:
            hidden = hidden[positions]
        return self.lm_head(hidden), state

    def read(
        self,
        tokens: Tensor | None = None,
        embeddings: Tensor | None = None,
        state: State | None = None,
        lengths: Tensor | None = None,
        padding: str = "right",
    ) -> tuple[Tensor, State]:
        """The same without the head: (batch, length, d_model) hidden states after the final norm."""
        if (tokens is None) == (embeddings is None):
            raise ValueError("give either tokens or embeddings")
        x = self.embed(tokens) if tokens is not None else cast(Tensor, embeddings)
        if lengths is not None and padding == "left":
            hidden, state = self.backbone(left_to_right(x, lengths), state, lengths)
            return right_to_left(hidden, lengths), cast(State, state)
        return cast("tuple[Tensor, State]", self.backbone(x, state, lengths))

    @torch.no_grad()
    def prefill(
        self,
        tokens: Tensor | None = None,
        embeddings: Tensor | None = None,
        state: State | None = None,
        lengths: Tensor | None = None,
        piece: int = PREFILL_TOKENS,
    ) -> tuple[Tensor, State]:
        """Reads a prompt of any length in pieces: (batch, vocabulary) logits after each row's end, and the state."""
        source = tokens if tokens is not None else embeddings
        if source is None:
            raise ValueError("give either tokens or embeddings")
        batch, length = source.shape[:2]
        ends = torch.full((batch,), length, device=source.device) if lengths is None else lengths.to(source.device)
        last: Tensor | None = None
        for start in range(0, length, piece):
            part = source[:, start : start + piece]
            x = self.embed(part) if tokens is not None else part
            inside = None if lengths is None else (ends - start).clamp(0, part.shape[1])
            hidden, state = self.backbone(x, state, inside)
            final = hidden[:, -1] if inside is None else last_valid(hidden, inside)
            reaches = (ends > start)[:, None]
            last = final if last is None else torch.where(reaches, final, last)
        if last is None or state is None:
            raise ValueError("an empty prompt has no next token")
        return self.lm_head(last), state

    def prepare(self) -> None:
        """Lay the weights out for speaking, which copies them once; training and moving the model drop the copies."""
        weights = signature(self)
        if self.training or kernels.plain():
            self.forget()
        elif self._prepared != weights:
            if self.lm_head.weight.device.type == "cpu":
                pack(self)
            self._decoder, self._prepared = self.make_decoder(), weights

    def make_decoder(self) -> Stepper | None:
        """None: steps go through the modules."""
        return None

    def forget(self) -> None:
        """Drop what `prepare` made."""
        self._decoder = self._prepared = None
        unpack(self)

    def train(self, mode: bool = True) -> RecurrentReader:
        if mode:
            self.forget()
        return super().train(mode)

    def _apply(self, *args: Any, **options: Any) -> RecurrentReader:
        self.forget()
        return super()._apply(*args, **options)  # type: ignore[no-untyped-call, no-any-return]

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        self.forget()
        super()._load_from_state_dict(*args, **options)

    @torch.no_grad()
    def step(self, tokens: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        """One token per row: tokens (batch,) -> logits (batch, vocabulary) and the new state.

        A caller that alone holds the state may say so by `owned`: its memory may then be used for the new one.
        """
        if self._decoder is None:
            return self.plain_step(tokens, state)
        return self._decoder.step(tokens, state, owned)

    @torch.no_grad()
    def step_from(self, embeddings: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        """The same from the embeddings (batch, d_model) of the tokens, or of whatever else is read."""
        if self._decoder is None:
            return self.plain_step_from(embeddings, state)
        return self._decoder.step_from(embeddings, state, owned)

    def plain_step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """A step by the modules themselves, whatever was prepared."""
        return self.plain_step_from(self.embed(tokens), state)

    def plain_step_from(self, embeddings: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, state = self.backbone(embeddings[:, None], state)
        return self.lm_head(hidden[:, 0]), state
