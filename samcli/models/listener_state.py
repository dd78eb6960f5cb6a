"""What a recording leaves behind: the language model's memory, and which sounds were heard, how surely and when.

The second part is a shortcut past the first. A small language model needs long training to carry "a dog, then a car"
through its state to the word where it is due; the tag head knows it already. So every token it reads is accompanied by
what the head heard: beside an audio token the probabilities of that moment, beside a text token those of the whole
recording, and which of them were not spoken of yet. Both parts are a fold over windows and cost constant memory.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.models.interface import Encoding
from samcli.ssm.fast import graphs
from samcli.ssm.fast.graphs import Captures
from samcli.ssm.fast.linear import signature
from samcli.ssm.language.reader import RecurrentReader
from samcli.ssm.state import State

FADE_SECONDS = 4.0  # how recent, or how early, a sound is falls to 37 per cent in this time
SPEAKS = 0.25  # a token's association with a class from which it speaks of it
TURN_SECONDS = 1.0  # by how much earlier than the rest a sound is for its turn to be plain
# The sum of all classes' probabilities up to which words make sense. A scene of three sounds stays below; of what more
# sounds leave behind, the model begins to talk nonsense at 12.5, and talks nothing else from 19 on.
MOST_TO_TELL = 11.0
SURELY, SHARPLY = 0.695, 30.0  # a class's probability from which a sound is known, and how sharp that line is


class TagSummary(NamedTuple):
    highest: Tensor  # (batch, classes) the highest probability of each class in any window
    recent: Tensor  # (batch, classes) the highest probability of any step, faded by how long ago it was
    early: Tensor  # (batch, classes) the same, faded by how long after the beginning it was
    peak: Tensor  # (batch, classes) the same, not faded
    seconds: Tensor  # (batch, 1) how long this was


class ListenerState(NamedTuple):
    """The state that is carried from window to window."""

    memory: State
    tags: TagSummary


def step_probabilities(encoding: Encoding) -> Tensor:
    if encoding.step_logits is None or encoding.clip_logits is None:
        raise ValueError("a model that reads tags needs a tag head over time")
    return torch.sigmoid(encoding.step_logits.float())


def tags_of_window(steps: Tensor, encoding: Encoding, step_seconds: float) -> TagSummary:
    """What one window leaves behind; `steps` (batch, steps, classes) are its probabilities."""
    assert encoding.clip_logits is not None
    return summarise(steps, torch.sigmoid(encoding.clip_logits.float()), encoding.lengths, step_seconds)


def summarise(steps: Tensor, clip: Tensor, lengths: Tensor, step_seconds: float) -> TagSummary:
    place = torch.arange(steps.shape[1], device=steps.device)
    age = (lengths[:, None] - 1 - place) * step_seconds  # (batch, steps); negative behind a row's end
    lately = torch.exp(-age / FADE_SECONDS).masked_fill(age < 0, 0.0)
    early = torch.exp(-place * (step_seconds / FADE_SECONDS)).masked_fill(age < 0, 0.0)
    always = torch.where(age < 0, 0.0, 1.0)
    recent, first, peak = ((steps * weight[..., None]).amax(1) for weight in (lately, early, always))
    return TagSummary(clip, recent, first, peak, lengths[:, None] * step_seconds)


def combine_tags(before: TagSummary, now: TagSummary) -> TagSummary:
    """Two stretches of sound, one after the other."""
    return TagSummary(
        torch.maximum(before.highest, now.highest),
        torch.maximum(before.recent * torch.exp(-now.seconds / FADE_SECONDS), now.recent),
        torch.maximum(before.early, now.early * torch.exp(-before.seconds / FADE_SECONDS)),
        torch.maximum(before.peak, now.peak),
        before.seconds + now.seconds,
    )


def no_tags(batch: int, device: torch.device, classes: int = 0) -> TagSummary:
    """Of nothing heard."""
    nothing = torch.zeros(batch, classes, device=device)
    return TagSummary(nothing, nothing, nothing, nothing, torch.zeros(batch, 1, device=device))


def tellable(tags: TagSummary) -> list[bool]:
    """Whether each row holds few enough sounds for words."""
    found: list[bool] = (tags.highest.float().sum(1) <= MOST_TO_TELL).tolist()
    return found


def onset(tags: TagSummary) -> Tensor:
    """(batch, classes): after how many seconds each class is first nearly as plain as it gets, up to 27."""
    return -FADE_SECONDS * (tags.early / tags.peak.clamp(min=1e-9)).clamp(1e-3, 1.0).log()


def amplify_small(probabilities: Tensor) -> Tensor:
    """Square roots spread out the small probabilities, where second sounds are; below one per cent is silence."""
    return (probabilities.sqrt() - 0.1).clamp(min=0)


class TagContext(NamedTuple):
    """What accompanies the text tokens of a recording."""

    heard: Tensor  # (batch, classes): how surely each class was heard
    onset: Tensor  # (batch, classes): when, in seconds
    embedding: Tensor  # (batch, width): what was heard, for every token alike
    support: Tensor  # (batch, vocabulary, 3): how well each token fits what was heard: by highest, recent and early
    lean: Tensor  # (batch, vocabulary): how far that alone moves a next token's logit


class TagReader(nn.Module):
    """Probabilities as embeddings, and as a lexicon: which tokens speak of which classes.

    The lexicon is read both ways. A token that comes in is marked with how well it fits what was heard, so "is there a
    dog?" needs no long search; a token that goes out is likelier the better it fits. And a class that was spoken of is
    taken off what is left to say: without that, a second sound that is softly heard loses to the first one, said twice.
    Of what is left, the earlier comes before the later: sounds are told in the order in which they were heard.
    """

    def __init__(self, classes: int, width: int, vocabulary: int) -> None:
        super().__init__()
        self.steps = nn.Linear(classes, width, bias=False)
        self.highest = nn.Linear(classes, width, bias=False)
        self.recent = nn.Linear(classes, width, bias=False)
        self.early = nn.Linear(classes, width, bias=False)
        self.left = nn.Linear(classes, width, bias=False)
        for layer in (self.steps, self.highest, self.recent, self.early, self.left):
            nn.init.normal_(layer.weight, std=0.01)  # beside token embeddings of 0.02, a soft voice at first
        self.lexicon = nn.Linear(classes, vocabulary, bias=False)
        nn.init.zeros_(self.lexicon.weight)
        self.mark = nn.Linear(3, width, bias=False)
        nn.init.normal_(self.mark.weight, std=0.05)
        self.doubt = nn.Parameter(torch.zeros(width))  # beside every text token where nothing is surely heard
        # How far support (highest, recent, early, left to say) moves the next token's logit.
        self.urge = nn.Parameter(torch.tensor([0.4, 0.2, 0.2, 0.4]))
        self.done = nn.Parameter(torch.tensor([4.0]))  # how fast a class spoken of is done with

    def embed_steps(self, steps: Tensor) -> Tensor:
        """Beside each audio token: (batch, tokens, classes) -> (batch, tokens, width)."""
        embeddings: Tensor = self.steps(amplify_small(steps).to(self.steps.weight.dtype))
        return embeddings

    def context(self, tags: TagSummary) -> TagContext:
        """Beside every text token of a recording."""
        dtype = self.highest.weight.dtype
        highest, recent, early = (amplify_small(part).to(dtype) for part in (tags.highest, tags.recent, tags.early))
        support = self.lexicon(torch.stack([highest, recent, early], dim=1)).transpose(1, 2)  # (batch, vocabulary, 3)
        embedding = self.highest(highest) + self.recent(recent) + self.early(early)
        unsure = torch.sigmoid((SURELY - tags.highest.amax(1, keepdim=True)) * SHARPLY).to(dtype)  # (batch, 1)
        embedding = embedding + unsure * self.doubt
        when = onset(tags).detach().to(dtype)
        return TagContext(highest, when, embedding, support, (support * self.urge[:3]).sum(-1))

    def said(self, tokens: Tensor, spoken: Tensor) -> Tensor:
        """How far each class has been spoken of after each token: (batch, length) twice -> (batch, length, classes).

        `spoken`: which tokens are the model's own words. Those of a question name what may not be there.
        """
        return (self.speaks(tokens) * spoken[..., None]).cumsum(1)

    def speaks(self, tokens: Tensor) -> Tensor:
        """How far each token alone speaks of each class: (...) -> (..., classes)."""
        return (F.embedding(tokens, self.lexicon.weight) - SPEAKS).clamp(min=0) * self.done

    def read(self, embeddings: Tensor, tokens: Tensor, context: TagContext, left: Tensor) -> Tensor:
        """Token embeddings (batch, length, width) with what was heard beside them, and what is left to say."""
        support = context.support.gather(1, tokens[..., None].expand(*tokens.shape, 3))  # (batch, length, 3)
        found: Tensor = embeddings + context.embedding[:, None] + self.mark(support) + self.left(left)
        return found

    def urges(self, context: TagContext, left: Tensor, rows: Tensor | None = None) -> Tensor:
        """What to add to the logits of a next token, so that they lean to what was heard: (places, vocabulary).

        Each place is in one of the rows of `context` (places,), None: one in each, and has what is left to say there
        (places, classes).
        """
        urged: Tensor = self.lexicon(left) * self.urge[3]
        return urged + (context.lean if rows is None else context.lean[rows])


def left_to_say(context: TagContext, said: Tensor) -> Tensor:
    """What is left at each place of each row, by what was said until then: (batch, length, classes) both."""
    return next_to_say(context.heard[:, None], context.onset[:, None], said)


def next_to_say(heard: Tensor, when: Tensor, said: Tensor) -> Tensor:
    """(..., classes) of what was heard: what is not said yet, up to twice as strong where it comes before the rest."""
    left = heard * torch.exp(-said)
    weight = left.square()
    middle = (weight * when).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True).clamp(min=1e-6)
    return left * (1 + torch.tanh((middle - when) / TURN_SECONDS))


class SpeakingState(NamedTuple):
    """The state while a model speaks."""

    memory: State
    context: TagContext
    said: Tensor  # (batch, classes)


class TagGuidedSpeaker:
    """A language model that speaks beside what was heard: the `Speaker` that `generate` asks for."""

    def __init__(self, language: RecurrentReader, reader: TagReader) -> None:
        self.language, self.reader = language, reader
        self.vocab_size = language.vocab_size
        self._captures: Captures | None = None
        self._captured: object = None  # the weights that the captured steps read

    def prepare(self) -> None:
        """Lay the weights out for speaking; on a card, steps are captured whole."""
        self.language.prepare()
        weights = (signature(self.language), signature(self.reader))
        if not graphs.applies(self.language.lm_head.weight):
            self._captures = self._captured = None
        elif self._captured != weights:
            self._captures, self._captured = Captures(lambda tokens, state: self.one_step(tokens, state, True)), weights

    def prefill(self, tokens: Tensor, *, state: ListenerState, lengths: Tensor | None) -> tuple[Tensor, SpeakingState]:
        context = self.reader.context(state.tags)
        nothing = torch.zeros_like(context.heard)  # a prompt's words are not its own
        left = left_to_say(context, nothing[:, None])  # (batch, 1, classes): the same at every token
        embeddings = self.reader.read(self.language.embed(tokens), tokens, context, left)
        logits, memory = self.language.prefill(embeddings=embeddings, state=state.memory, lengths=lengths)
        return logits + self._urges(context, left), SpeakingState(memory, context, nothing)

    def step(self, tokens: Tensor, state: SpeakingState, owned: bool = False) -> tuple[Tensor, SpeakingState]:
        return (self._captures.step if self._captures is not None else self.one_step)(tokens, state, owned)

    def one_step(self, tokens: Tensor, state: SpeakingState, owned: bool) -> tuple[Tensor, SpeakingState]:
        now = tokens[:, None]
        said = state.said[:, None] + self.reader.speaks(now)
        left = left_to_say(state.context, said)
        embeddings = self.reader.read(self.language.embed(now), now, state.context, left)
        logits, memory = self.language.step_from(embeddings[:, 0], state.memory, owned)
        return logits + self._urges(state.context, left), SpeakingState(memory, state.context, said[:, 0])

    def _urges(self, context: TagContext, left: Tensor) -> Tensor:
        return self.reader.urges(context, left[:, 0])
