"""What is minimised: tags of the scene, tags of each step, and the words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.models.interface import Encoding
from samcli.models.listener_state import SURELY, TagSummary, combine_tags, step_probabilities, summarise, tags_of_window
from samcli.models.mixture import AUDIO, use_modality
from samcli.models.sam import SamNetwork
from samcli.ssm.state import select
from samcli.training.language.script import STEP_SECONDS
from samcli.training.nano.batches import Batch
from samcli.training.nano.naming_loss import NamingLoss
from samcli.training.nano.words import ALWAYS, SURE, Words

LENGTH_GROUPS = 4  # of the texts of a batch


@dataclass(frozen=True)
class LossWeights:
    clip: float = 1.0
    step: float = 0.3
    words: float = 1.0
    name: float = 1.0
    agreement: float = 0.5  # of the second view of a scene with the first
    reading: bool = False  # the words alone, from targets instead of sound


def tag_losses(encoding: Encoding, batch: Batch) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy against soft targets, summed over classes: nats per scene and per step."""
    clip_logits, step_logits = encoding.clip_logits, encoding.step_logits
    assert clip_logits is not None and step_logits is not None, "only an encoder with a head over time learns tags"
    classes = clip_logits.shape[-1]
    clip = F.binary_cross_entropy_with_logits(clip_logits.float(), batch.clip_target) * classes
    step = F.binary_cross_entropy_with_logits(step_logits.float(), batch.step_target.float()) * classes
    return clip, step


def agreement_loss(clip_logits: Tensor) -> Tensor:
    """Cross-entropy of what is said of scenes' second views against what is said of the first, which stays as it is."""
    first, second = clip_logits.float().chunk(2)
    return F.binary_cross_entropy_with_logits(second, first.detach().sigmoid()) * clip_logits.shape[-1]


def word_loss(network: SamNetwork, embeddings: Tensor, tags: TagSummary | None, words: Words) -> Tensor:
    """Cross-entropy of the spoken tokens, nats per token; every scene of a batch has equally many audio tokens.

    As when it speaks, the language model reads a sound once and goes on from there with each of its texts. Texts of
    like length go together: most of a batch would be padding otherwise. What is named is learned of sounds that the
    encoder is sure of, and of the others that they are hard to tell: what to say follows from what is heard.
    """
    with use_modality(AUDIO):  # asked only by a model whose projections are split
        _, heard = network.language.read(embeddings=embeddings)
    context = None if tags is None else network.tag_reader.context(tags)
    total = embeddings.new_zeros((), dtype=torch.float32)
    spoken_tokens = 0
    learned = fitting(words, tags)
    for rows in learned.chunk(LENGTH_GROUPS) if len(learned) else ():
        longest = int(words.lengths[rows].max())
        tokens, lengths, scenes = words.tokens[rows, :longest], words.lengths[rows], words.scene[rows]
        place = torch.arange(longest)
        spoken = (place >= words.spoken_from[rows, None]) & (place < lengths[:, None])  # (rows, longest)
        mine = None if context is None else select(context, scenes)
        logits = network.predict(tokens, lengths, spoken, select(heard, scenes), mine)
        total = total + F.cross_entropy(logits.float(), tokens[spoken], reduction="sum")
        spoken_tokens += int(spoken.sum())
    return total / max(1, spoken_tokens)


def fitting(words: Words, tags: TagSummary | None) -> Tensor:
    """Rows that are to be learned, the short ones first."""
    sure = torch.ones_like(words.when, dtype=torch.bool)
    if tags is not None:
        sure = (tags.highest.detach().amax(1) >= SURELY)[words.scene]
    fits = (words.when == ALWAYS) | ((words.when == SURE) == sure)
    rows = words.lengths.argsort(stable=True)
    return rows[fits[rows]]


def reading_loss(network: SamNetwork, batch: Batch) -> Tensor:
    """Cross-entropy of the words when the head's probabilities are what they should be, more or less.

    No sound is heard: the language model learns to put tags into words many times faster than by listening. What it
    reads is made as unreliable as a young encoder is.
    """
    assert batch.words is not None
    stack = network.config.stack
    windows, steps, classes = batch.step_target.shape
    strength = 0.25 + 0.75 * torch.rand(windows, 1, classes)
    noise = torch.rand(windows, 1, classes).pow(80) * 0.3  # a few classes that are not there, faintly
    tokens = F.pad(batch.step_target.float(), (0, 0, 0, -steps % stack)).reshape(windows, -1, stack, classes).mean(2)
    tokens = (tokens * strength * (0.7 + 0.3 * torch.rand(tokens.shape)) + noise * torch.rand(tokens.shape)).clamp(0, 1)
    tags = summarise(
        batch.step_target.float() * strength,
        (batch.clip_target * strength[:, 0] + noise[:, 0]).clamp(0, 1),
        torch.full((windows,), steps),
        STEP_SECONDS,
    )
    embeddings = network.tag_reader.embed_steps(tokens)
    return word_loss(network, by_scene(embeddings, batch), over_windows(tags, batch.windows), batch.words)


def by_scene(embeddings: Tensor, batch: Batch) -> Tensor:
    """A scene's windows one after the other: (scenes, windows * audio tokens, d_model)."""
    return embeddings.reshape(-1, batch.windows * embeddings.shape[1], embeddings.shape[2])


def over_windows(tags: TagSummary, windows: int) -> TagSummary:
    """Each scene's tags after its last window, from those of (scenes * windows)."""
    parts = [TagSummary(*(part[number::windows] for part in tags)) for number in range(windows)]
    return reduce(combine_tags, parts)


def losses(
    network: SamNetwork, batch: Batch, weights: LossWeights, naming: NamingLoss | None = None
) -> tuple[Tensor, dict[str, float]]:
    if weights.reading and batch.words is not None:
        total = reading_loss(network, batch)
        return total, {"reading": total.item()}
    if batch.words is None or not weights.words:
        encoding = network.encoder(batch.mel)
        clip, step = tag_losses(encoding, batch)
        words = torch.zeros(())
    else:
        encoding, embeddings, _ = network.encode_and_embed(batch.mel)
        clip, step = tag_losses(encoding, batch)
        tags = None
        if network.config.reads_tags:
            tags = over_windows(tags_of_window(step_probabilities(encoding), encoding, STEP_SECONDS), batch.windows)
        words = word_loss(network, by_scene(embeddings, batch), tags, batch.words)
    total = weights.clip * clip + weights.step * step + weights.words * words
    parts = {"clip": clip.item(), "timeline": step.item(), "words": words.item()}
    if batch.two_views and encoding.clip_logits is not None:
        agreement = agreement_loss(encoding.clip_logits)
        total, parts["agreement"] = total + weights.agreement * agreement, agreement.item()
    if naming is not None and encoding.clip_logits is not None:
        name = naming.loss(encoding.clip_logits.float(), batch.name, batch.surely)
        total, parts["name"] = total + weights.name * name, name.item()
    return total, parts
