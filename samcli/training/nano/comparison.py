"""Variants of the recipe side by side: one budget each, judged by scenes of sounds that none of them heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from samcli.models.sam import SamNetwork
from samcli.text.tokenizer import Tokenizer
from samcli.training.frames import FrameStore
from samcli.training.language.script import Scripts
from samcli.training.losses import losses
from samcli.training.nano.batches import SceneBatches
from samcli.training.nano.corpus import Corpus, Targets
from samcli.training.nano.settings import NanoRecipe
from samcli.training.nano.words import Writer

BATCHES = 12
SEED = 7_000  # of the scenes to judge by, whatever seed a variant began with
HEADER = (
    "variant", "encoder, M", "the rest, M", "steps",
    "tags, nats a window", "moments, nats a step", "words, nats a token",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One trained variant."""

    variant: str
    encoder: float  # million parameters
    rest: float
    steps: int
    losses: Mapping[str, float]  # clip, timeline, words

    def cells(self) -> tuple[str, ...]:
        sizes = f"{self.encoder:.2f}", f"{self.rest:.2f}", f"{self.steps}"
        return (self.variant, *sizes, *(f"{self.losses[name]:.3f}" for name in ("clip", "timeline", "words")))


def unheard(corpus: Corpus, without: Sequence[str]) -> Corpus:
    """The sources that were left out of the training; without any, the development clips."""
    clips = (clip for clip in corpus.clips if (clip.source in without if without else clip.split == "dev"))
    return replace(corpus, clips=tuple(replace(clip, split="train") for clip in clips))


@torch.no_grad()
def judged(
    variant: str, network: SamNetwork, recipe: NanoRecipe, corpus: Corpus, features: Path, tokenizer: Tokenizer
) -> Row:
    """What a trained network loses on the same scenes as every other."""
    held = unheard(corpus, recipe.without)
    targets = Targets(held)
    writer = Writer(tokenizer, Scripts(targets), recipe.words)
    batches = SceneBatches(held, FrameStore(features), replace(recipe.batches, seed=SEED), writer, targets=targets)
    torch.manual_seed(SEED)
    found = [losses(network.eval(), batches.batch(number), recipe.weights)[1] for number in range(BATCHES)]
    means = {name: sum(one[name] for one in found) / BATCHES for name in found[0]}
    encoder = sum(parameter.numel() for parameter in network.encoder.parameters())
    rest = sum(parameter.numel() for parameter in network.parameters()) - encoder
    return Row(variant, encoder / 1e6, rest / 1e6, recipe.steps, means)


def table(rows: Sequence[Row]) -> str:
    """For a card."""
    lines = [HEADER, ("---",) * len(HEADER), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
