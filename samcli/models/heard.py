"""What a recording leaves behind: the language model's memory, and which sounds were heard, how surely and how lately.

The second part is a shortcut past the first. A small language model needs long training to carry "a dog, then a car"
through its state to the word where it is due; the tag head knows it already. So every token it reads is accompanied by
what the head heard: beside an audio token the probabilities of that moment, beside a text token those of the whole
recording. Both parts are a fold over windows and cost constant memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from samcli.models.interface import Encoding
from samcli.ssm.language import LanguageModel
from samcli.ssm.state import State

FADE_SECONDS = 4.0  # a sound's recency falls to 37 per cent in this time


class Tags(NamedTuple):
    highest: Tensor  # (batch, classes) the highest probability of each class in any window
    recent: Tensor  # (batch, classes) the highest probability of any step, faded by how long ago it was
    seconds: Tensor  # (batch, 1) how long this was


class Heard(NamedTuple):
    """The state that is carried from window to window."""

    memory: State
    tags: Tags


def step_probabilities(encoding: Encoding) -> Tensor:
    if encoding.step_logits is None or encoding.clip_logits is None:
        raise ValueError("a model that reads tags needs a tag head over time")
    return torch.sigmoid(encoding.step_logits.float())


def tags_of(steps: Tensor, encoding: Encoding, step_seconds: float) -> Tags:
    """What one window leaves behind; `steps` (batch, steps, classes) are its probabilities."""
    assert encoding.clip_logits is not None
    return summary(steps, torch.sigmoid(encoding.clip_logits.float()), encoding.lengths, step_seconds)


def summary(steps: Tensor, clip: Tensor, lengths: Tensor, step_seconds: float) -> Tags:
    place = torch.arange(steps.shape[1], device=steps.device)
    age = (lengths[:, None] - 1 - place) * step_seconds  # (batch, steps); negative behind a row's end
    weight = torch.exp(-age / FADE_SECONDS).masked_fill(age < 0, 0.0)
    return Tags(clip, (steps * weight[..., None]).amax(1), lengths[:, None] * step_seconds)


def later(before: Tags, now: Tags) -> Tags:
    """Two stretches of sound, one after the other."""
    faded = before.recent * torch.exp(-now.seconds / FADE_SECONDS)
    return Tags(
        torch.maximum(before.highest, now.highest), torch.maximum(faded, now.recent), before.seconds + now.seconds
    )


def no_tags(batch: int, device: torch.device) -> Tags:
    nothing = torch.zeros(batch, 0, device=device)
    return Tags(nothing, nothing, torch.zeros(batch, 1, device=device))


def telling(probabilities: Tensor) -> Tensor:
    """Square roots spread out the small probabilities, where second sounds are; below one per cent is silence."""
    return (probabilities.sqrt() - 0.1).clamp(min=0)


class Beside(NamedTuple):
    """What accompanies the text tokens of a recording."""

    embedding: Tensor  # (batch, width): what was heard, for every token alike
    support: Tensor  # (batch, vocabulary, 2): how well each token fits what was heard, by highest and by recent


class TagReader(nn.Module):
    """Probabilities as embeddings, and as a lexicon: which tokens speak of which classes.

    The lexicon is read both ways. A token that comes in is marked with how well it fits what was heard, so "is there a
    dog?" needs no long search; a token that goes out is likelier the better it fits.
    """

    def __init__(self, classes: int, width: int, vocabulary: int) -> None:
        super().__init__()
        self.steps = nn.Linear(classes, width, bias=False)
        self.highest = nn.Linear(classes, width, bias=False)
        self.recent = nn.Linear(classes, width, bias=False)
        for layer in (self.steps, self.highest, self.recent):
            nn.init.normal_(layer.weight, std=0.01)  # beside token embeddings of 0.02, a soft voice at first
        self.lexicon = nn.Linear(classes, vocabulary, bias=False)
        nn.init.zeros_(self.lexicon.weight)
        self.mark = nn.Linear(2, width, bias=False)
        nn.init.normal_(self.mark.weight, std=0.05)
        self.urge = nn.Parameter(torch.tensor([0.5, 0.5]))  # how far support moves the next token's logit

    def along(self, steps: Tensor) -> Tensor:
        """Beside each audio token: (batch, tokens, classes) -> (batch, tokens, width)."""
        embeddings: Tensor = self.steps(telling(steps).to(self.steps.weight.dtype))
        return embeddings

    def beside(self, tags: Tags) -> Beside:
        """Beside every text token of a recording."""
        dtype = self.highest.weight.dtype
        highest, recent = telling(tags.highest).to(dtype), telling(tags.recent).to(dtype)
        support = self.lexicon(torch.stack([highest, recent], dim=1))  # (batch, 2, vocabulary)
        return Beside(self.highest(highest) + self.recent(recent), support.transpose(1, 2))

    def read(self, embeddings: Tensor, tokens: Tensor, beside: Beside) -> Tensor:
        """Token embeddings (batch, length, width) with what was heard beside them."""
        support = beside.support.gather(1, tokens[..., None].expand(*tokens.shape, 2))  # (batch, length, 2)
        found: Tensor = embeddings + beside.embedding[:, None] + self.mark(support)
        return found

    def urges(self, beside: Beside) -> Tensor:
        """What to add to the logits of a next token, so that they lean to what was heard: (batch, vocabulary)."""
        lean: Tensor = (beside.support * self.urge).sum(-1)
        return lean


class Speech(NamedTuple):
    """The state while a model speaks."""

    memory: State
    beside: Beside


class Voice:
    """A language model that speaks beside what was heard: the `Speaker` that `generate` asks for."""

    def __init__(self, language: LanguageModel, reader: TagReader) -> None:
        self.language, self.reader = language, reader
        self.vocab_size = language.vocab_size

    def prepare(self) -> None:
        """Nothing to lay out: the steps go through the plain path."""

    def prefill(self, tokens: Tensor, *, state: Heard, lengths: Tensor | None) -> tuple[Tensor, Speech]:
        beside = self.reader.beside(state.tags)
        embeddings = self.reader.read(self.language.embed(tokens), tokens, beside)
        logits, memory = self.language.prefill(embeddings=embeddings, state=state.memory, lengths=lengths)
        return logits + self.reader.urges(beside), Speech(memory, beside)

    def step(self, tokens: Tensor, state: Speech, owned: bool = False) -> tuple[Tensor, Speech]:
        embeddings = self.reader.read(self.language.embed(tokens)[:, None], tokens[:, None], state.beside)
        found: Any = self.language(embeddings=embeddings, state=state.memory)
        return found[0][:, 0] + self.reader.urges(state.beside), Speech(found[1], state.beside)
