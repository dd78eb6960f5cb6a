"""One token at a time on CUDA, under a captured graph.

A step of a language model is some thousand small kernels; launched one by one they take longer than the weights take to
read. Captured once, they are launched as one. A graph works on fixed memory: states are copied in and out unless the
caller owns the state that the last step returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from samcli.ssm.fast.linear import nothing
from samcli.ssm.state import State, map_state

if TYPE_CHECKING:
    from samcli.ssm.language.reader import RecurrentReader

GRAPHS = 6  # batch sizes kept; each holds memory of its own
WARM_UP = 3  # steps before the capture, so that libraries have chosen their kernels and reserved their memory


class _Captured:
    """The graph for one batch size."""

    def __init__(self, model: RecurrentReader, state: State) -> None:
        batch = state[0].tail.shape[0]
        self.tokens = torch.zeros(batch, dtype=torch.long, device=state[0].tail.device)
        self.state: State = map_state(torch.clone, state)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                model.plain_step(self.tokens, self.state)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits, new = model.plain_step(self.tokens, self.state)
            map_state(lambda kept, fresh: kept.copy_(fresh), self.state, new)


class GraphDecoder:
    """Steps by graphs, one per batch size."""

    def __init__(self, model: RecurrentReader) -> None:
        self.model = model
        self.captured: dict[int, _Captured] = {}

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return nothing, ()

    @torch.no_grad()
    def step(self, tokens: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        batch = tokens.shape[0]
        if batch not in self.captured:
            if len(self.captured) >= GRAPHS:
                self.captured.pop(next(iter(self.captured)))
            self.captured[batch] = _Captured(self.model, state)
        captured = self.captured[batch]
        captured.tokens.copy_(tokens)
        if state is not captured.state:
            map_state(lambda kept, given: kept.copy_(given), captured.state, state)
        captured.graph.replay()
        # what is handed out must not change under the caller's hands with the next step
        new = captured.state if owned else map_state(torch.clone, captured.state)
        return captured.logits.clone(), new

    @torch.no_grad()
    def step_from(self, embeddings: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        """Without a graph, which knows tokens only."""
        return self.model.plain_step_from(embeddings, state)
