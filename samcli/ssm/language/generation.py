"""Speaking: from a carried state, or a prompt, to tokens, one by one or by beam search.

`generate` works on any model with `prefill` and `step`. Rows of a batch may have prompts of different lengths and
end at different times; each gives what it would give alone. The state passed in is never modified.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from samcli.ssm.fast import beams as card
from samcli.ssm.language.sampling import GenerationOptions, Speaker, choose, controlled
from samcli.ssm.state import reorder, repeat, select

__all__ = ["GenerationOptions", "Speaker", "generate"]


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


class _Hypotheses:
    """The finished hypotheses of one row, best kept."""

    def __init__(self, options: GenerationOptions) -> None:
        self.options = options
        self.finished: list[tuple[float, list[int]]] = []

    def normalised(self, score: float, spoken: int) -> float:
        return score / float(max(spoken, 1) ** self.options.length_penalty)

    def add(self, score: float, tokens: list[int], stopped: bool) -> None:
        # the stop token was chosen too, so it counts in the length
        self.finished.append((self.normalised(score, len(tokens) + stopped), tokens))
        self.finished.sort(key=lambda item: -item[0])
        del self.finished[self.options.beams :]

    def settled(self, best_open: float, spoken: int) -> bool:
        """No open beam can still enter: scores only fall, so the most a beam can reach is known."""
        if len(self.finished) < self.options.beams:
            return False
        longest = self.options.max_new_tokens if self.options.length_penalty > 0 else spoken
        return self.finished[-1][0] >= self.normalised(best_open, longest)


def beam_search(model: Speaker, state: Any, logits: Tensor, options: GenerationOptions) -> list[list[int]]:
    """The best finished hypothesis of every row of `logits` (batch, vocabulary)."""
    return [finished[0] if finished else [] for finished in beam_candidates(model, state, logits, options)]


@torch.no_grad()
def beam_candidates(model: Speaker, state: Any, logits: Tensor, options: GenerationOptions) -> list[list[list[int]]]:
    """The finished hypotheses of every row, at most as many as there are beams, the best first."""
    if card.applies(logits):
        return card.beam_candidates(model, state, logits, options)
    beams, vocabulary = options.beams, model.vocab_size
    hypotheses = [_Hypotheses(options) for _ in range(logits.shape[0])]
    live = list(range(logits.shape[0]))  # rows still searching; each holds `beams` neighbouring rows of the state
    state, logits = repeat(state, beams), logits.repeat_interleave(beams, dim=0)
    spoken: list[list[int]] = [[] for _ in range(logits.shape[0])]
    # all beams of a row start equal: only the first may branch
    totals = torch.full((len(live), beams), -torch.inf)
    totals[:, 0] = 0
    for step in range(1, options.max_new_tokens + 1):
        chances = controlled(logits, spoken, vocabulary, options).log_softmax(dim=-1).cpu()
        candidates = (totals.view(-1, 1) + chances).view(len(live), beams * vocabulary)
        # each beam can lose at most its stop tokens, so this many always leave enough to go on with
        wanted = min(beams * (1 + len(options.stop_tokens)), beams * vocabulary)
        best = candidates.topk(wanted, dim=-1)
        keep: list[int] = []
        tokens: list[int] = []
        next_totals: list[list[float]] = []
        next_spoken: list[list[int]] = []
        next_live: list[int] = []
        for i, row in enumerate(live):
            chosen: list[tuple[float, int, int]] = []  # (score, beam, token)
            for rank, (score, flat) in enumerate(zip(best.values[i].tolist(), best.indices[i].tolist(), strict=True)):
                beam, token = divmod(flat, vocabulary)
                if score == -float("inf"):
                    continue
                if token in options.stop_tokens:
                    # a stop outside the best `beams` would win only by being short
                    if rank < beams:
                        hypotheses[row].add(score, spoken[i * beams + beam], stopped=True)
                elif len(chosen) < beams:
                    chosen.append((score, i * beams + beam, token))
            if step == options.max_new_tokens:
                for score, source, token in chosen:
                    hypotheses[row].add(score, [*spoken[source], token], stopped=False)
                continue
            if not chosen or hypotheses[row].settled(chosen[0][0], step):
                continue
            while len(chosen) < beams:  # fewer continuations than beams: idle copies that never win
                chosen.append((-float("inf"), chosen[0][1], chosen[0][2]))
            next_live.append(row)
            next_totals.append([score for score, _, _ in chosen])
            keep += [source for _, source, _ in chosen]
            tokens += [token for _, _, token in chosen]
            next_spoken += [[*spoken[source], token] for _, source, token in chosen]
        if not next_live:
            break
        live, spoken, totals = next_live, next_spoken, torch.tensor(next_totals)
        logits, state = model.step(torch.tensor(tokens, device=logits.device), reorder(state, keep), True)
    return [[tokens for _, tokens in row.finished] for row in hypotheses]
