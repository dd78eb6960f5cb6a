"""Speaking: from a carried state, or a prompt, to tokens.

`generate` works on any model with `prefill` and `step`. Rows of a batch may have prompts of different lengths and
end at different times; each gives what it would give alone. The state passed in is never modified.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from samcli.ssm.language.sampling import GenerationOptions, choose, controlled
from samcli.ssm.state import select

__all__ = ["GenerationOptions", "Speaker", "generate"]


class Speaker(Protocol):
    @property
    def vocab_size(self) -> int:
        """Real tokens; ids from here on are padding."""

    def prepare(self) -> None: ...

    def prefill(self, tokens: Tensor, *, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]: ...

    def step(self, tokens: Tensor, state: Any, owned: bool = False) -> tuple[Tensor, Any]: ...


@torch.no_grad()
def generate(
    model: Speaker,
    state: Any,
    prompt: Tensor,
    options: GenerationOptions | None = None,
    lengths: Tensor | None = None,
) -> list[list[int]]:
    """The tokens each row speaks, without its stop token.

    `prompt` is either the logits that `state` ended with, (batch, vocabulary) in floating point, or tokens to read
    first, (batch, length) in integers, right-padded when `lengths` are given.
    """
    options = options or GenerationOptions()
    logits = prompt
    if not prompt.is_floating_point():
        logits, state = model.prefill(prompt, state=state, lengths=lengths)
    model.prepare()
    if options.max_new_tokens == 0:
        return [[] for _ in range(logits.shape[0])]
    if options.beams > 1:
        from samcli.ssm.language.beams import beam_search

        return beam_search(model, state, logits, options)
    return _sample(model, state, logits, options)


def _sample(model: Speaker, state: Any, logits: Tensor, options: GenerationOptions) -> list[list[int]]:
    spoken: list[list[int]] = [[] for _ in range(logits.shape[0])]
    generators = [torch.Generator().manual_seed(options.seed) for _ in spoken]
    live = list(range(len(spoken)))  # the row behind each row of `state`
    finished: set[int] = set()
    owned = False  # the caller's state is left alone; from the first step on it is ours
    while True:
        scores = controlled(logits, [spoken[row] for row in live], model.vocab_size, options)
        tokens = choose(scores, options, [generators[row] for row in live])
        for row, token in zip(live, tokens, strict=True):
            if row in finished:
                continue
            if token in options.stop_tokens:
                finished.add(row)
                continue
            spoken[row].append(token)
            if len(spoken[row]) == options.max_new_tokens:
                finished.add(row)
        going = [i for i, row in enumerate(live) if row not in finished]
        if not going:
            return spoken
        # a CUDA graph serves one batch size, so there finished rows run along
        if len(going) < len(live) and logits.device.type == "cpu":
            state, live, tokens = select(state, going), [live[i] for i in going], [tokens[i] for i in going]
            owned = True
        logits, state = model.step(torch.tensor(tokens, device=logits.device), state, owned)
        owned = True
