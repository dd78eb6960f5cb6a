"""The recipe of sam-nano, from the corpus' folder to a model that can be shipped.

    sam train nano CORPUS OUT --trunk mn04_as.safetensors

    1. ears     the encoder begins with mn04 and learns tags: labels joined with the teacher's opinion
    2. opinions what it now hears in every training clip, joined with the teacher, replaces the teacher's opinion
    3. ears     it goes on with these, from the full rate again
    4. reading  the language model alone learns to put tags into words, reading targets instead of hearing sounds
    5. words    connector and language model learn from what the encoder hears; the encoder stays as it is

Each stage can be stopped and resumed at any step. A recipe without steps of words ends after the third.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import torch

from samcli.checkpoints.format import load_module
from samcli.errors import ModelError
from samcli.models.encoders.nano import NanoEncoder
from samcli.models.sam import SamNetwork
from samcli.ssm.language.model import LanguageModel
from samcli.text.tokenizer import Tokenizer, train_tokenizer
from samcli.training.language.rehearsal import rehearse_sentences
from samcli.training.loop import SAVED, Report, Trainer
from samcli.training.losses import LossWeights
from samcli.training.nano.batches import Sampler, SceneBatches
from samcli.training.nano.corpus import Corpus
from samcli.training.nano.lexicon import associations, single_sounds
from samcli.training.nano.material import Material, prepare, untaught
from samcli.training.nano.opinions import hear_again
from samcli.training.nano.settings import NanoRecipe
from samcli.training.nano.trunk import begin_with, fix_first_blocks, learn_statistics
from samcli.training.nano.words import Writer


def train_nano(
    corpus: Corpus,
    out: Path,
    recipe: NanoRecipe | None = None,
    trunk: Path | None = None,
    start: Path | None = None,
    ears: Path | None = None,
    judge: Callable[[Material], Callable[[SamNetwork], dict[str, float]]] | None = None,
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
    taught = corpus if recipe.teacher else untaught(corpus)
    material = prepare(taught, features or out / "features", recipe.without)
    network, tokenizer = first_network(out, recipe, trunk, start, ears)
    resumed = (out / "state" / SAVED).exists()
    if start is None and recipe.word_steps and not resumed:  # a training that goes on brings its own
        count_lexicon(network, material, tokenizer, recipe)
    tokenizer.save(out / "tokenizer.json")
    writer = Writer(tokenizer, material.scripts, recipe.words)
    trainer = Trainer(network, out / "state", recipe.loop)
    judged = judge(material) if judge else None

    def learn(first: int, until: int, weights: LossWeights, parts: Parts, words: Writer | None) -> None:
        """The stage of these steps, in which these parts of the network learn."""
        if trainer.step >= until:
            return
        choose(network, parts, noise=trunk is None and start is None)
        trainer.begin(replace(recipe.loop, steps=until, weights=weights), first)
        batches, others = (_batches(material, recipe, words, offset) for offset in (0, 1))
        trainer.run(batches, others, judged, report)

    hearing = replace(recipe.loop.weights, words=0.0)
    at = recipe.ear_steps if ears is None else 0
    learn(0, at, hearing, Parts.EARS, None)
    if at and recipe.ear_steps_again:
        if recipe.teacher:  # labels alone are no opinions
            material = material.with_opinions(hear_again(nano_of(averaged(trainer)), material, out, report))
            writer = Writer(tokenizer, material.scripts, recipe.words)
        learn(at, at + recipe.ear_steps_again, hearing, Parts.EARS, None)
        at += recipe.ear_steps_again
    if recipe.word_steps:
        read = at + recipe.read_steps
        learn(at, read, replace(recipe.loop.weights, reading=True), Parts.WORDS, writer)
        learn(read, read + recipe.word_steps, recipe.loop.weights, Parts.WORDS, writer)
    return averaged(trainer)


def averaged(trainer: Trainer) -> SamNetwork:
    network: Any = trainer.average.network
    return network  # type: ignore[no-any-return]


def nano_of(network: SamNetwork) -> NanoEncoder:
    assert isinstance(network.encoder, NanoEncoder), "this recipe trains no other encoder"
    return network.encoder


class Parts(Enum):
    """What of a network learns in a stage."""

    EARS = "the encoder"
    WORDS = "everything else"


def choose(network: SamNetwork, parts: Parts, noise: bool) -> None:
    """Let these parts learn, and no others."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith("encoder.") == (parts is Parts.EARS))
    if parts is Parts.EARS and noise:
        learn_statistics(nano_of(network).trunk)
    elif parts is Parts.EARS:
        fix_first_blocks(nano_of(network).trunk)


def first_network(
    out: Path, recipe: NanoRecipe, trunk: Path | None, start: Path | None, ears: Path | None
) -> tuple[SamNetwork, Tokenizer]:
    """The network as the training finds it, and its tokenizer."""
    if start is not None:
        return begun(start)
    known = ears if ears is not None else out
    tokenizer = Tokenizer.load(known) if (known / "tokenizer.json").exists() else new_tokenizer(recipe)
    network = beginning(tokenizer, recipe)
    if ears is not None:
        given, _ = begun(ears)
        if given.config.encoder != recipe.encoder:
            raise ModelError(f"{ears} has another encoder than this recipe: take its --size, and no other encoder.")
        network.encoder.load_state_dict(given.encoder.state_dict())
    elif trunk is not None:
        begin_with(nano_of(network), trunk)
    return network, tokenizer


def new_tokenizer(recipe: NanoRecipe) -> Tokenizer:
    return train_tokenizer(rehearse_sentences(recipe.told), recipe.vocabulary)


def beginning(tokenizer: Tokenizer, recipe: NanoRecipe) -> SamNetwork:
    """A network that knows nothing yet."""
    network = SamNetwork(recipe.config(len(tokenizer), aligned=True))
    lengthen_memory(network.language)
    return network


def count_lexicon(network: SamNetwork, material: Material, tokenizer: Tokenizer, recipe: NanoRecipe) -> None:
    """Let it know which words go with which classes; with thousands of sounds told, this takes minutes."""
    sampler = Sampler(material.corpus.split("train"), recipe.batches)
    pairs = single_sounds(material.scripts, sampler, tokenizer, recipe.counted, recipe.seed)
    with torch.no_grad():
        lexicon = network.tag_reader.lexicon
        lexicon.weight.copy_(associations(pairs, lexicon.out_features))


def begun(folder: Path) -> tuple[SamNetwork, Tokenizer]:
    """A trained network, to be trained on."""
    network, _ = load_module(folder, dtype=torch.float32)
    if not isinstance(network, SamNetwork) or not network.config.reads_tags:
        raise ModelError(f"{folder} is no model of this recipe: it cannot be trained on as sam-nano.")
    return network, Tokenizer.load(folder)


def lengthen_memory(language: LanguageModel) -> None:
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


def _batches(material: Material, recipe: NanoRecipe, writer: Writer | None, offset: int) -> SceneBatches:
    options = replace(recipe.batches, seed=recipe.batches.seed + 1000 * offset)
    return SceneBatches(material.corpus, material.store, options, writer, targets=material.targets)
