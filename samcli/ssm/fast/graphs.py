"""Steps captured on a card and launched as one.

A step of a language model is some hundred small kernels; launched one by one they take longer than the weights take to
read. Captured once, they are launched together. A graph works on fixed memory, so states are copied in, unless they
are the ones that the last step left there. Rows are padded to a power of two, and all sizes share the memory of the
largest: a graph for every number of rows would be a state for every number of rows.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from samcli.ssm.fast import kernels
from samcli.ssm.fast.linear import unpickled_as_none
from samcli.ssm.language.blocks import Backbone, ResidualBlock
from samcli.ssm.mamba2 import Mamba2
from samcli.ssm.state import BlockState, State, map_state
from samcli.ssm.triton import choice

if TYPE_CHECKING:
    from samcli.ssm.language.reader import RecurrentReader


# Tokens (rows,) and a state whose memory may be used, to scores (rows, vocabulary) and the new state.
Work = Callable[[Tensor, Any], tuple[Tensor, Any]]

WARM_UP = 3  # steps before a capture, so that libraries have chosen their kernels and reserved their memory
_all: weakref.WeakSet[Captures] = weakref.WeakSet()
refused: list[str] = []  # why steps could not be captured, for people


def applies(weight: Tensor) -> bool:
    """Whether steps of a model with such weights can be captured."""
    return weight.is_cuda and not kernels.plain()


def record(work: Callable[[], None], device: torch.device, pool: Any) -> Callable[[], None]:
    """What launches again all that `work` launches, on the same memory."""
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # on a stream of this card: the one that PyTorch keeps for captures belongs to the first card that had one;
        # other threads may go on asking for memory meanwhile
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            work()

    def replay() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return replay


def new_pool(device: torch.device) -> Any:
    with torch.cuda.device(device):
        return torch.cuda.graph_pool_handle()


class _Captured:
    """The graph for one number of rows, on the first rows of the common memory."""

    def __init__(self, work: Work, tokens: Tensor, state: Any, pool: Any) -> None:
        self.tokens, self.state = tokens, state
        self.logits: Tensor | None = None

        @torch.no_grad()
        def once() -> None:
            logits, new = work(self.tokens, self.state)
            if self.logits is None:
                with torch.inference_mode(False):
                    self.logits = torch.empty_like(logits)
            self.logits.copy_(logits)
            keep(self.state, new)

        once()  # makes the memory of the scores, which must not belong to the graph
        self.replay = record(once, tokens.device, pool)


def keep(memory: Any, new: Any) -> None:
    """Copies a state into memory, as few launches as there are kinds; what lies there already stays."""
    old: list[Tensor] = []
    fresh: list[Tensor] = []

    def pair(kept: Tensor, given: Tensor) -> Tensor:
        if kept.data_ptr() != given.data_ptr() and kept.numel():
            old.append(kept)
            fresh.append(given)
        return kept

    map_state(pair, memory, new)
    if old:
        torch._foreach_copy_(old, fresh)


class Captures:
    """The graphs of one kind of step, by numbers of rows."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._graphs: dict[int, _Captured] = {}
        self._memory: tuple[Tensor, Any] | None = None  # tokens and state, for the most rows there were
        self._pool: Any = None
        self._lent: weakref.ref[Tensor] | None = None  # part of the state that was handed out in that memory
        self._refused = False  # a capture failed: steps are launched one by one
        _all.add(self)

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return unpickled_as_none, ()

    def drop(self) -> None:
        """Give all memory back; what was handed out stays with its holders."""
        self._graphs.clear()
        self._memory = self._pool = self._lent = None

    @torch.no_grad()
    def step(self, tokens: Tensor, state: Any, owned: bool = False) -> tuple[Tensor, Any]:
        if self._refused:
            return self._uncaptured(tokens, state, owned)
        rows = len(tokens)
        size = 1 << max(0, rows - 1).bit_length()
        ours = self._is_ours(state)
        if not ours and self._lent is not None and self._lent() is not None:
            self.drop()  # another generation is under way in that memory
        if ours and (size not in self._graphs or not owned):
            state, ours = map_state(torch.clone, state), False
        try:
            captured = self._captured(size, state)
        except torch.OutOfMemoryError:
            self.drop()
            torch.cuda.empty_cache()
            return self._uncaptured(tokens, state, owned)
        except RuntimeError as error:  # a library that cannot be captured must not cost the words
            self.drop()
            self._refused = True
            refused.append(str(error).splitlines()[0])
            return self._uncaptured(tokens, state, owned)
        captured.tokens[:rows].copy_(tokens)
        here = map_state(lambda leaf: leaf[:rows], captured.state)
        if not ours:
            keep(here, state)
        captured.replay()
        assert captured.logits is not None
        # what is handed out must not change under the caller's hands with the next step
        new = here if owned else map_state(torch.clone, here)
        self._lent = weakref.ref(first_leaf(here)) if owned else None
        return captured.logits[:rows].clone(), new

    def _uncaptured(self, tokens: Tensor, state: Any, owned: bool) -> tuple[Tensor, Any]:
        return self.work(tokens, state if owned else map_state(torch.clone, state))

    def _is_ours(self, state: Any) -> bool:
        return self._memory is not None and first_leaf(state).data_ptr() == first_leaf(self._memory[1]).data_ptr()

    def _captured(self, size: int, state: Any) -> _Captured:
        if size not in self._graphs:
            if self._memory is None or len(self._memory[0]) < size:
                self.drop()
                self._memory = memory_for(size, state)
                self._pool = new_pool(self._memory[0].device)
            tokens, whole = self._memory
            part = map_state(lambda leaf: leaf[:size], whole)
            self._graphs[size] = _Captured(self.work, tokens[:size], part, self._pool)
        return self._graphs[size]


@torch.inference_mode(False)
def memory_for(size: int, state: Any) -> tuple[Tensor, Any]:
    """Tokens and a state of so many rows, zeros, that may be written to in any mode."""
    tokens = torch.zeros(size, dtype=torch.long, device=first_leaf(state).device)
    return tokens, map_state(lambda leaf: leaf.new_zeros((size, *leaf.shape[1:])), state)


def first_leaf(state: Any) -> Tensor:
    while not isinstance(state, Tensor):
        state = state[0]
    return state


def drop_all() -> None:
    """Where memory runs short, captured steps are the first to go: they can be made again."""
    for captures in list(_all):
        captures.drop()


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
