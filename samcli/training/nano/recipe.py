"""The recipe of sam-nano, from the corpus' folder to a model that can be shipped.

    sam train nano CORPUS OUT

First the encoder alone learns tags; then the language model alone learns to put tags into words, reading targets
instead of hearing sounds; then everything learns together: the words' losses flow through the connector into the
encoder, as SAM's authors found best. Each stage can be stopped and resumed at any step. A recipe in which words have
no weight trains the encoder alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from samcli.audio.fbank import log_mel
from samcli.checkpoints.format import load_module
from samcli.errors import ModelError
from samcli.models.sam import Sam
from samcli.ssm.language.model import LanguageModel
from samcli.text.tokenizer import Tokenizer, train_tokenizer
from samcli.training.language.rehearsal import rehearse_sentences
from samcli.training.language.script import Scripts
from samcli.training.loop import SAVED, Report, Trainer
from samcli.training.nano.batches import Sampler, SceneBatches
from samcli.training.nano.corpus import Corpus, Targets
from samcli.training.nano.features import FeatureStore, build_features
from samcli.training.nano.lexicon import associations, single_sounds
from samcli.training.nano.settings import NanoRecipe
from samcli.training.nano.synthetic import synthetic_clips
from samcli.training.nano.words import Writer


@dataclass(frozen=True)
class Material:
    """The corpus, ready to train on."""

    corpus: Corpus
    store: FeatureStore
    scripts: Scripts


def prepare(corpus: Corpus, cache: Path) -> Material:
    """Compute the corpus' features once, add the synthetic sounds."""
    ready = (cache / "index.json").exists()
    store = FeatureStore(cache) if ready else build_features(corpus.folder, corpus.clips, cache)
    made = synthetic_clips()
    corpus = corpus.plus(clip for clip, _ in made)
    for clip, wave in made:
        store.add(clip, log_mel(torch.from_numpy(wave)[None])[0].numpy().astype(np.float16))
    return Material(corpus, store, Scripts(Targets(corpus)))


def train_nano(
    corpus: Corpus,
    out: Path,
    recipe: NanoRecipe | None = None,
    start: Path | None = None,
    ears: Path | None = None,
    judge: Callable[[Material], Callable[[Sam], dict[str, float]]] | None = None,
    report: Report = lambda line: None,
) -> Sam:
    """Train, or go on training, in the folder `out`; the averaged network comes back.

    `start`: a model of this kind to begin with, in place of a new one. `ears`: one whose encoder and tokenizer are
    taken over and stay as they are; only words are learned.
    """
    recipe = recipe or NanoRecipe()
    out.mkdir(parents=True, exist_ok=True)
    material = prepare(corpus if recipe.teacher else untaught(corpus), out / "features")
    torch.manual_seed(recipe.seed)
    if start is not None:
        network, tokenizer = begun(start)
    else:
        known = ears if ears is not None else out
        tokenizer = Tokenizer.load(known) if (known / "tokenizer.json").exists() else new_tokenizer(recipe)
        network = beginning(tokenizer, recipe)
        if ears is not None:
            given, _ = begun(ears)
            if given.config.encoder != recipe.encoder:
                raise ModelError(f"{ears} has another encoder than this recipe: take its --size, and no other encoder.")
            network.encoder.load_state_dict(given.encoder.state_dict())
            network.encoder.requires_grad_(False)
        if recipe.loop.weights.words and not (out / "state" / SAVED).exists():  # a training that goes on brings its own
            count_lexicon(network, material, tokenizer, recipe)
    tokenizer.save(out / "tokenizer.json")
    network.encoder.lay_out()
    judged = judge(material) if judge else None
    writer = Writer(tokenizer, material.scripts, recipe.words)
    # The plateau goes on through the first two stages: only the last one ends in a decay.
    plateau = replace(recipe.loop.optimiser, decay_share=0.0)
    weights = recipe.loop.weights
    stages = (
        (recipe.tag_steps, plateau, replace(weights, words=0.0), None),
        (recipe.tag_steps + recipe.read_steps, plateau, replace(weights, reading=True), writer),
        (recipe.loop.steps, recipe.loop.optimiser, weights, writer if weights.words else None),
    )
    trainer = Trainer(network, out / "state", recipe.loop)
    for last, optimiser, losses, words in stages:
        if trainer.step >= last:
            continue
        trainer.options = replace(recipe.loop, steps=last, optimiser=optimiser, weights=losses)
        first, second = (_batches(material, recipe, words, offset) for offset in (0, 1))
        trainer.run(first, second, judged, report)
    averaged: Any = trainer.average.network
    return averaged  # type: ignore[no-any-return]


def new_tokenizer(recipe: NanoRecipe) -> Tokenizer:
    return train_tokenizer(rehearse_sentences(recipe.told), recipe.vocabulary)


def beginning(tokenizer: Tokenizer, recipe: NanoRecipe) -> Sam:
    """A network that knows nothing yet."""
    network = Sam(recipe.config(len(tokenizer), aligned=True))
    lengthen_memory(network.language)
    return network


def count_lexicon(network: Sam, material: Material, tokenizer: Tokenizer, recipe: NanoRecipe) -> None:
    """Let it know which words go with which classes; with thousands of sounds told, this takes minutes."""
    sampler = Sampler(material.corpus.split("train"), recipe.batches)
    pairs = single_sounds(material.scripts, sampler, tokenizer, recipe.counted, recipe.seed)
    with torch.no_grad():
        lexicon = network.tag_reader.lexicon
        lexicon.weight.copy_(associations(pairs, lexicon.out_features))


def untaught(corpus: Corpus) -> Corpus:
    """The corpus as it is without the teacher: labels alone, and no clip to learn from that has none."""
    clips = tuple(clip for clip in corpus.clips if clip.split != "train" or clip.label)
    nothing = {file: np.zeros_like(windows) for file, windows in corpus.teacher.items()}
    return replace(corpus, clips=clips, teacher=nothing)


def begun(folder: Path) -> tuple[Sam, Tokenizer]:
    """A trained network, to be trained on."""
    network, _ = load_module(folder, dtype=torch.float32)
    if not isinstance(network, Sam) or not network.config.reads_tags:
        raise ModelError(f"{folder} is no model of this recipe: it cannot be trained on as sam-nano.")
    return network, Tokenizer.load(folder)


def lengthen_memory(language: LanguageModel) -> None:
    """Start with memories of 3 to 300 tokens: by the usual start, the sound is out of a caption's reach."""
    with torch.no_grad():
        for layer in language.backbone.layers:
            mixer: Any = layer.mixer
            if not hasattr(mixer, "A_log"):
                continue  # no scan, no memory
            heads = len(mixer.A_log)
            dt = torch.exp(torch.empty(heads).uniform_(math.log(0.05), math.log(0.6)))
            mixer.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # inverse of softplus
            span = torch.exp(torch.linspace(math.log(3), math.log(300), heads))
            mixer.A_log.copy_(-torch.log(span * dt))
            mixer.D.fill_(0.3)


def _batches(material: Material, recipe: NanoRecipe, writer: Writer | None, offset: int) -> SceneBatches:
    options = replace(recipe.batches, seed=recipe.batches.seed + 1000 * offset)
    return SceneBatches(material.corpus, material.store, options, writer)
