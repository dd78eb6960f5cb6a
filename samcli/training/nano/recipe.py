"""The recipe of sam-nano, from the corpus' folder to a model that can be shipped.

    sam train nano CORPUS OUT --trunk mn04_as.safetensors

    1. ears     the encoder begins with mn04 and learns tags: labels joined with the teacher's scores
    2. targets  its own scores of every training clip, blended with the teacher's, replace the teacher's
    3. ears     it goes on with these, from the full rate again
    4. views    it hears every scene twice, as mixed and as other hands would have stored it
    5. reading  the language model alone learns to put tags into words, reading targets instead of hearing sounds
    6. words    connector and language model learn from what the encoder hears; the encoder stays as it is

Each stage can be stopped and resumed at any step. A recipe without steps of words ends after the fourth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from samcli.checkpoints.format import load_module
from samcli.errors import ModelError
from samcli.models.encoders.nano import NanoEncoder
from samcli.models.sam import SamNetwork
from samcli.ssm.language.reader import RecurrentReader
from samcli.text.tokenizer import Tokenizer, train_tokenizer
from samcli.training.language.random_scenes import random_sentences
from samcli.training.loop import Report, Trainer
from samcli.training.losses import LossWeights, losses
from samcli.training.nano.batches import Batch, BatchOptions, Sampler, SceneBatches
from samcli.training.nano.corpus import Corpus
from samcli.training.nano.initial import FIRST_BLOCKS, associations, learn_statistics, load_trunk, single_sounds
from samcli.training.nano.material import Material, compute_soft_targets, prepare
from samcli.training.nano.settings import NanoRecipe
from samcli.training.nano.words import Writer
from samcli.training.stage import Outcome, Stage

SAVED = "last.pt"


def train_nano(
    corpus: Corpus,
    out: Path,
    recipe: NanoRecipe | None = None,
    trunk: Path | None = None,
    start: Path | None = None,
    ears: Path | None = None,
    report: Report = lambda line: None,
    features: Path | None = None,
) -> SamNetwork:
    """Train, or go on training, in the folder `out`; the averaged network comes back.

    `trunk`: mn04's weights; without them the encoder begins with noise. `start`: a model of this kind to begin with, in
    place of a new one. `ears`: one whose encoder and tokenizer are taken over and stay as they are; only words are
    learned. `features`: where the corpus' are kept, when several trainings share them.
    """
    recipe = recipe or NanoRecipe()
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    first = prepare(corpus, features or out / "features", recipe.without, recipe.teacher)
    network, tokenizer = initial_network(out, recipe, trunk, start, ears)
    resumed = (out / "state" / SAVED).exists()
    if start is None and recipe.word_steps and not resumed:  # a training that goes on brings its own
        fill_lexicon(network, first, tokenizer, recipe)
    tokenizer.save(out / "tokenizer.json")
    noise = trunk is None and start is None
    if noise:
        learn_statistics(nano_of(network).trunk)
    hears = ears is None

    @cache
    def improved() -> Material:
        """With what the encoder hears after the first stage; without a teacher there is nothing to blend."""
        if not hears or not recipe.teacher:
            return first
        return first.with_soft_targets(compute_soft_targets(nano_of(averaged(trainer)), first, out, report))

    def stage(
        name: str, steps: int, material: Callable[[], Material], weights: LossWeights, made: BatchOptions, hears: bool
    ) -> Stage:
        def task(seed: int = 0) -> NanoTask:
            options = replace(made, seed=made.seed + 1000 * seed)
            use = material()
            writer = None if hears else Writer(tokenizer, use.scripts, recipe.words)
            batches = SceneBatches(use.corpus, use.store, options, writer, targets=use.targets)
            return NanoTask(network, batches, weights)

        return Stage(
            name,
            steps,
            task,
            recipe.pace,
            learns=partial(learns_to_hear, fixed=not noise) if hears else learns_words,
            prepare=train_what_learns,
            own_optimiser=False,
            helper=partial(task, 1) if recipe.second_core else None,
        )

    hearing, reading = replace(recipe.weights, words=0.0), replace(recipe.weights, reading=True)
    moments = replace(hearing, step=recipe.step_weight_in_views)
    stages = [
        *(
            [
                stage("ears", recipe.ear_steps, lambda: first, hearing, recipe.batches, True),
                stage("ears again", recipe.ear_steps_again, improved, hearing, recipe.batches, True),
                stage("views", recipe.view_steps, improved, moments, recipe.views, True),
            ]
            if hears
            else []
        ),
        *(
            [
                stage("reading", recipe.read_steps, improved, reading, recipe.batches, False),
                stage("words", recipe.word_steps, improved, recipe.weights, recipe.batches, False),
            ]
            if recipe.word_steps
            else []
        ),
    ]
    trainer = Trainer(network, stages, out / "state" / SAVED, recipe.loop)
    if trainer.step == 0:
        trainer.average.begin(network)
    trainer.run(report)
    return averaged(trainer)


class NanoTask:
    """A step is one batch of scenes."""

    def __init__(self, network: SamNetwork, batches: SceneBatches, weights: LossWeights) -> None:
        self.network, self.batches, self.weights = network, batches, weights

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"network": None}  # workers only make batches

    def batch(self, places: Sequence[int]) -> Batch:
        (number,) = places
        return self.batches.batch(number)

    def outcome(self, batch: Batch) -> Outcome:
        total, parts = losses(self.network, batch, self.weights, self.batches.naming)
        return Outcome(total, torch.ones(()), parts, len(batch.mel))


def averaged(trainer: Trainer) -> SamNetwork:
    network: Any = trainer.average.network
    return network  # type: ignore[no-any-return]


def nano_of(network: SamNetwork) -> NanoEncoder:
    assert isinstance(network.encoder, NanoEncoder), "this recipe trains no other encoder"
    return network.encoder


def learns_to_hear(name: str, fixed: bool) -> bool:
    """The encoder; of a trunk that begins with mn04 the first blocks are fixed."""
    return name.startswith("encoder.") and not (fixed and name.startswith(FIRST_BLOCKS))


def learns_words(name: str) -> bool:
    return not name.startswith("encoder.")


def train_what_learns(network: nn.Module) -> None:
    """A part in which nothing learns stays as it is, its norms' statistics too."""
    network.train()
    for part in network.children():
        if not any(parameter.requires_grad for parameter in part.parameters()):
            part.eval()


def initial_network(
    out: Path, recipe: NanoRecipe, trunk: Path | None, start: Path | None, ears: Path | None
) -> tuple[SamNetwork, Tokenizer]:
    """The network as the training finds it, and its tokenizer."""
    if start is not None:
        return load_trained(start)
    known = ears if ears is not None else out
    tokenizer = Tokenizer.load(known) if (known / "tokenizer.json").exists() else new_tokenizer(recipe)
    network = new_network(tokenizer, recipe)
    if ears is not None:
        given, _ = load_trained(ears)
        if given.config.encoder != recipe.encoder:
            raise ModelError(f"{ears} has another encoder than this recipe: take its --size, and no other encoder.")
        network.encoder.load_state_dict(given.encoder.state_dict())
    elif trunk is not None:
        load_trunk(nano_of(network), trunk)
    return network, tokenizer


def new_tokenizer(recipe: NanoRecipe) -> Tokenizer:
    return train_tokenizer(random_sentences(recipe.sentences), recipe.vocabulary)


def new_network(tokenizer: Tokenizer, recipe: NanoRecipe) -> SamNetwork:
    """A network that knows nothing yet."""
    network = SamNetwork(recipe.config(len(tokenizer), aligned=True))
    lengthen_memory(network.language)
    return network


def fill_lexicon(network: SamNetwork, material: Material, tokenizer: Tokenizer, recipe: NanoRecipe) -> None:
    """Let it know which words go with which classes; with thousands of sounds described, this takes minutes."""
    sampler = Sampler(material.corpus.split("train"), recipe.batches)
    pairs = single_sounds(material.scripts, sampler, tokenizer, recipe.counted, recipe.seed)
    with torch.no_grad():
        lexicon = network.tag_reader.lexicon
        lexicon.weight.copy_(associations(pairs, lexicon.out_features))


def load_trained(folder: Path) -> tuple[SamNetwork, Tokenizer]:
    """A trained network, to be trained on."""
    network, _ = load_module(folder, dtype=torch.float32)
    if not isinstance(network, SamNetwork) or not network.config.reads_tags:
        raise ModelError(f"{folder} is no model of this recipe: it cannot be trained on as sam-nano.")
    return network, Tokenizer.load(folder)


def lengthen_memory(language: RecurrentReader) -> None:
    """Start with memories of 3 to 300 tokens: by the usual start, the sound is out of a caption's reach."""
    with torch.no_grad():
        for layer in language.backbone.layers:
            mixer: Any = layer.mixer
            if not hasattr(mixer, "A_log"):
                continue  # no scan, or one whose memories begin long
            heads = len(mixer.A_log)
            dt = torch.exp(torch.empty(heads).uniform_(math.log(0.05), math.log(0.6)))
            mixer.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # inverse of softplus
            span = torch.exp(torch.linspace(math.log(3), math.log(300), heads))
            mixer.A_log.copy_(-torch.log(span * dt))
            mixer.D.fill_(0.3)
