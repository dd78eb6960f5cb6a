"""Beam search where the scores are: no token waits for the processor.

The same search as in `samcli.ssm.language.generation`, with the same result, as operations on tensors. Rows that are
done run along, since a captured step serves one number of rows; only every few tokens the processor asks whether any
row still searches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from samcli.ssm.language.sampling import GenerationOptions, Speaker
from samcli.ssm.state import map_state, repeat

ASKED = 8  # tokens between two questions whether all rows are done
NEVER = -float("inf")


def applies(logits: Tensor) -> bool:
    """Whether the search is best kept where these scores are."""
    return logits.device.type != "cpu"


class _Search:
    """Open beams and finished hypotheses of all rows, on one device."""

    def __init__(self, rows: int, vocabulary: int, options: GenerationOptions, device: torch.device) -> None:
        self.options, self.vocabulary, self.device = options, vocabulary, device
        self.rows, beams, most = rows, options.beams, options.max_new_tokens

        def filled(value: float, *shape: int) -> Tensor:
            return torch.full(shape, value, device=device)

        self.totals = filled(NEVER, rows, beams)
        self.totals[:, 0] = 0  # all beams of a row start equal: only the first may branch
        self.spoken = torch.zeros(rows, beams, most, dtype=torch.long, device=device)
        self.finished = filled(NEVER, rows, beams)  # scores, the best first
        self.texts = torch.zeros_like(self.spoken)
        self.sizes = torch.zeros(rows, beams, dtype=torch.long, device=device)
        self.open = torch.ones(rows, dtype=torch.bool, device=device)
        self.sound = torch.ones((), dtype=torch.bool, device=device)  # all scores so far were finite
        self.forbidden = self._marked(options.suppressed)
        self.stops = self._marked(options.stop_tokens)

    def _marked(self, tokens: tuple[int, ...]) -> Tensor:
        marks = torch.zeros(self.vocabulary, dtype=torch.bool)
        marks[[token for token in tokens if 0 <= token < self.vocabulary]] = True
        return marks.to(self.device)

    def chances(self, logits: Tensor, step: int) -> Tensor:
        """(rows, beams, vocabulary) log-probabilities of the next token, of what may be said."""
        scores = logits[:, : self.vocabulary].float()
        finite = scores.view(self.rows, -1).isfinite().all(1)
        self.sound &= (finite | ~self.open).all()
        scores = scores.masked_fill(self.forbidden, NEVER)
        spoken = self.spoken[..., : step - 1].flatten(0, 1)
        penalty = self.options.repetition_penalty
        if penalty != 1:
            used = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, spoken, True)
            scores = torch.where(used, torch.where(scores > 0, scores / penalty, scores * penalty), scores)
        if step <= self.options.min_new_tokens:
            scores = scores.masked_fill(self.stops, NEVER)
        if self.options.no_repeat_ngram:
            others = scores.masked_fill(self._repeated(spoken), NEVER)
            # a word said twice is better than none to choose from
            scores = torch.where((others > NEVER).any(-1, keepdim=True), others, scores)
        return scores.log_softmax(-1).view(self.rows, -1, self.vocabulary)

    def _repeated(self, spoken: Tensor) -> Tensor:
        """(hypotheses, vocabulary): what would complete an n-gram a second time."""
        size, length = self.options.no_repeat_ngram, spoken.shape[1]
        banned = torch.zeros(len(spoken), self.vocabulary + 1, dtype=torch.bool, device=self.device)
        if length >= size:
            grams = spoken.unfold(1, size, 1)  # (hypotheses, places, size)
            alike = (grams[..., :-1] == spoken[:, None, length - size + 1 :]).all(-1)
            banned.scatter_(1, torch.where(alike, grams[..., -1], self.vocabulary), True)
        return banned[:, :-1]

    def advance(self, chances: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Which hypotheses go on, by what: (rows * beams,) sources among them, and tokens."""
        beams, stops = self.options.beams, len(self.options.stop_tokens)
        candidates = (self.totals[..., None] + chances).flatten(1)
        # each beam can lose at most its stop tokens, so this many always leave enough to go on with
        best, flat = candidates.topk(min(beams * (1 + stops), beams * self.vocabulary), dim=-1)
        beam, token = flat // self.vocabulary, flat % self.vocabulary
        possible = (best > NEVER) & self.open[:, None]
        stopping = self.stops[token]
        # a stop outside the best `beams` would win only by being short
        self._finish(best[:, :beams], (possible & stopping)[:, :beams], beam[:, :beams], None, step)
        going = possible & ~stopping
        chosen = (~going).to(torch.int8).sort(dim=1, stable=True).indices[:, :beams]
        there = going.gather(1, chosen)
        # fewer continuations than beams: idle copies that never win
        chosen = torch.where(there, chosen, chosen[:, :1])
        scores = best.gather(1, chosen).masked_fill(~there, NEVER)
        beam, token = beam.gather(1, chosen), token.gather(1, chosen)
        if step == self.options.max_new_tokens:
            self._finish(scores, there, beam, token, step)
            self.open.fill_(False)
        else:
            self.open &= there[:, 0] & ~self._settled(scores[:, 0], step)
        self.totals = scores
        self.spoken = self.spoken.gather(1, beam[..., None].expand_as(self.spoken))
        self.spoken[..., step - 1] = token
        first = torch.arange(self.rows, device=self.device)[:, None] * beams
        return (first + beam).flatten(), token.flatten()

    def _finish(self, scores: Tensor, which: Tensor, beam: Tensor, token: Tensor | None, step: int) -> None:
        """Keep the best of what was finished before and of the hypotheses that end now."""
        # a stop token was chosen too, so it counts in the length
        worth = (scores / float(step**self.options.length_penalty)).masked_fill(~which, NEVER)
        texts = self.spoken.gather(1, beam[..., None].expand(*beam.shape, self.spoken.shape[-1]))
        if token is not None:
            texts = texts.clone()
            texts[..., step - 1] = token
        sizes = torch.full_like(beam, step - (token is None))
        order = torch.cat([self.finished, worth], 1).sort(dim=1, descending=True, stable=True)
        self.finished, kept = order.values[:, : self.options.beams], order.indices[:, : self.options.beams]
        self.sizes = torch.cat([self.sizes, sizes], 1).gather(1, kept)
        every = torch.cat([self.texts, texts], 1)
        self.texts = every.gather(1, kept[..., None].expand(*kept.shape, every.shape[-1]))

    def _settled(self, best_open: Tensor, step: int) -> Tensor:
        """No open beam can still enter: scores only fall, so the most a beam can reach is known."""
        longest = self.options.max_new_tokens if self.options.length_penalty > 0 else step
        most = best_open / float(max(longest, 1) ** self.options.length_penalty)
        return (self.finished[:, -1] > NEVER) & (self.finished[:, -1] >= most)

    def found(self) -> list[list[list[int]]]:
        """All finished hypotheses, the best of each row first."""
        columns = self.finished.tolist(), self.texts.tolist(), self.sizes.tolist()
        return [
            [text[:size] for score, text, size in zip(*row, strict=True) if score > NEVER]
            for row in zip(*columns, strict=True)
        ]


@torch.no_grad()
def beam_candidates(model: Speaker, state: Any, logits: Tensor, options: GenerationOptions) -> list[list[list[int]]]:
    """The finished hypotheses of every row, at most as many as there are beams, the best first."""
    beams = options.beams
    search = _Search(len(logits), model.vocab_size, options, logits.device)
    state, logits = repeat(state, beams), logits.repeat_interleave(beams, dim=0)
    for step in range(1, options.max_new_tokens + 1):
        rows, tokens = search.advance(search.chances(logits, step), step)
        if step == options.max_new_tokens or (step % ASKED == 0 and not bool(search.open.any())):
            break
        logits, state = model.step(tokens, rearranged(state, rows), True)
    if not bool(search.sound):
        raise FloatingPointError("the scores of the next token are not finite")
    return search.found()


def rearranged(state: Any, rows: Tensor) -> Any:
    """The given rows in their order, in the state's own memory."""
    return map_state(lambda leaf: leaf.copy_(leaf.index_select(0, rows)), state)
