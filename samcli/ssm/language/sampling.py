"""From logits to a token: repetition control, then greedy choice or sampling.

Every row is treated by itself, with its own random generator, so that a row of a batch speaks as it would alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


class Speaker(Protocol):
    """What `generate` and beam search ask of a model."""

    @property
    def vocab_size(self) -> int:
        """Real tokens; ids from here on are padding."""

    def prepare(self) -> None: ...

    def prefill(self, tokens: Tensor, *, state: Any, lengths: Tensor | None) -> tuple[Tensor, Any]: ...

    def step(self, tokens: Tensor, state: Any, owned: bool = False) -> tuple[Tensor, Any]: ...


@dataclass(frozen=True)
class GenerationOptions:
    max_new_tokens: int = 48
    min_new_tokens: int = 0  # stop tokens are not spoken before
    stop_tokens: tuple[int, ...] = ()  # end a row; never part of the result
    suppressed: tuple[int, ...] = ()  # never spoken
    # search
    beams: int = 1  # 1: greedy, or sampling when temperature > 0
    length_penalty: float = 1.0  # beams compare sum of log-probabilities / length ** this
    # sampling
    temperature: float = 0.0  # 0: always the most likely token
    top_k: int = 0  # 0: all
    top_p: float = 1.0  # 1: all
    seed: int = 0  # the same for every row
    # repetition, over what was spoken since the prompt
    repetition_penalty: float = 1.0  # 1: none
    no_repeat_ngram: int = 0  # 0: any repetition is allowed

    def __post_init__(self) -> None:
        if self.max_new_tokens < 0 or self.beams < 1 or self.temperature < 0 or self.top_k < 0:
            raise ValueError("max_new_tokens, temperature and top_k must not be negative, beams at least 1")
        if not 0 < self.top_p <= 1 or self.repetition_penalty <= 0:
            raise ValueError("top_p must lie in (0, 1] and repetition_penalty above 0")
        if self.beams > 1 and self.temperature > 0:
            raise ValueError("choose either beams or a temperature")


def repeated_continuations(spoken: Sequence[int], size: int) -> list[int]:
    """Tokens that would complete an n-gram of this size a second time."""
    if size < 1 or len(spoken) < size - 1:
        return []
    prefix = list(spoken[len(spoken) - size + 1 :])
    return [spoken[i + size - 1] for i in range(len(spoken) - size + 1) if list(spoken[i : i + size - 1]) == prefix]


def controlled(logits: Tensor, spoken: Sequence[Sequence[int]], vocab_size: int, options: GenerationOptions) -> Tensor:
    """(rows, vocab_size) float32 scores with everything forbidden at -inf; `spoken` holds each row's tokens so far.

    Raises FloatingPointError where the model's numbers have run out: nothing that is chosen by them means anything.
    """
    scores = logits[:, :vocab_size].float()
    if not bool(scores.isfinite().all()):
        raise FloatingPointError("the scores of the next token are not finite")
    touched = (
        bool(options.suppressed) or options.repetition_penalty != 1 or options.no_repeat_ngram or options.min_new_tokens
    )
    if not touched:
        return scores
    scores = scores.clone()
    if options.suppressed:
        scores[:, list(options.suppressed)] = -torch.inf
    for row, tokens in enumerate(spoken):
        if options.repetition_penalty != 1 and tokens:
            used = torch.tensor(sorted(set(tokens)), device=scores.device)
            old = scores[row, used]
            # dividing a negative score would reward it
            scores[row, used] = torch.where(old > 0, old / options.repetition_penalty, old * options.repetition_penalty)
        if len(tokens) < options.min_new_tokens:
            scores[row, list(options.stop_tokens)] = -torch.inf
        if repeated := repeated_continuations(tokens, options.no_repeat_ngram):
            others = scores[row].clone()
            others[repeated] = -torch.inf
            if bool((others > -torch.inf).any()):  # else a word said twice is better than none to choose from
                scores[row] = others
    return scores


def keep_likely(scores: Tensor, top_k: int, top_p: float) -> Tensor:
    """Scores outside the `top_k` best, and outside the smallest set holding `top_p` of the probability, become -inf."""
    if 0 < top_k < scores.shape[-1]:
        worst = scores.topk(top_k, dim=-1).values[..., -1:]
        scores = scores.masked_fill(scores < worst, -torch.inf)
    if top_p < 1:
        ordered, index = scores.sort(dim=-1, descending=True)
        probabilities = ordered.softmax(dim=-1)
        # what is already held before a token decides, so the first token always stays
        outside = probabilities.cumsum(dim=-1) - probabilities >= top_p
        scores = scores.masked_fill(torch.zeros_like(outside).scatter(-1, index, outside), -torch.inf)
    return scores


def choose(scores: Tensor, options: GenerationOptions, generators: Sequence[torch.Generator]) -> list[int]:
    """One token per row; each row draws from its own generator."""
    if options.temperature == 0:
        return scores.argmax(dim=-1).tolist()
    likely = keep_likely(scores.cpu() / options.temperature, options.top_k, options.top_p)
    probabilities = likely.softmax(dim=-1)
    return [int(torch.multinomial(p, 1, generator=g)) for p, g in zip(probabilities, generators, strict=True)]
