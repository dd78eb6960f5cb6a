"""Where sam-nano begins: an encoder that heard two million clips already, and a lexicon that was counted.

The trunk takes the weights of EfficientAT's mn04_as (MIT) as they are; its classifier becomes the part of the window's
head that reads the mean of the last map. So an untrained encoder tags as mn04 does.

The lexicon says which tokens people use when which classes are heard. A language model could find out by itself that
"barking" speaks of the class Bark, but it takes a hundred thousand sentences. Counting captions of single sounds tells
it at once; training then refines every entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from samcli.errors import ModelError
from samcli.models.encoders.mobilenet import MN04, WIDEN, ConvNorm, MobileNet
from samcli.models.encoders.nano import NanoEncoder
from samcli.models.listener_state import amplify_small
from samcli.text.tokenizer import Tokenizer
from samcli.training.language.captions import write_caption
from samcli.training.language.scenes import Event, Scene
from samcli.training.language.script import Scripts
from samcli.training.nano.batches import Sampler

# Their weights stay: edges and onsets are the same everywhere, and half of the work of learning would go there.
FIRST_BLOCKS = ("encoder.trunk.stem.", *(f"encoder.trunk.blocks.{number}." for number in range(3)))
NEW_WEIGHT_STD = 0.01  # of what the window's head reads beside mn04's mean

Weights = dict[str, Tensor]

LEAST_TIMES = 3.0  # a token is used with a class before the two are associated
LEAST_LIFT = 1.0  # nats: a token that is used 2.7 times as often as otherwise when the class is heard
HIGHEST_LIFT = 5.0
TEXTS_PER_SOUND = 4  # captions of one sound
SECONDS = 5.0

Pair = tuple[Tensor, Iterable[int]]  # how plainly each class is heard, and the tokens of a text about it


def load_trunk(encoder: NanoEncoder, path: Path) -> None:
    """Give an encoder mn04's weights."""
    try:
        weights = load_file(path)
        encoder.trunk.load_state_dict(renamed(weights))
        with torch.no_grad():
            head = encoder.window_hidden
            head.weight.normal_(0.0, NEW_WEIGHT_STD)
            head.weight[:, : WIDEN * MN04[-1].outputs] = weights["classifier.2.weight"]
            head.bias.copy_(weights["classifier.2.bias"])
            encoder.window_head.weight.copy_(weights["classifier.5.weight"])
            encoder.window_head.bias.copy_(weights["classifier.5.bias"])
            for name, parameter in encoder.layers.named_parameters():
                if name.endswith("out_proj.weight"):  # young layers speak softly at first
                    parameter.mul_(0.3)
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{str(path)!r} does not hold EfficientAT's mn04 as safetensors.") from error


def renamed(weights: Weights) -> Weights:
    """mn04's trunk by our names, its kernels turned: ours run time first."""
    found: Weights = {}

    def take(ours: str, theirs: str) -> None:
        found[f"{ours}.conv.weight"] = weights[f"{theirs}.0.weight"].transpose(2, 3).contiguous()
        for name in ("weight", "bias", "running_mean", "running_var"):
            found[f"{ours}.norm.{name}"] = weights[f"{theirs}.1.{name}"]
        found[f"{ours}.norm.num_batches_tracked"] = torch.tensor(0)

    take("stem", "features.0")
    take("last", f"features.{len(MN04) + 1}")
    for number, shape in enumerate(MN04):
        place, part = f"features.{number + 1}.block", 0
        if shape.expanded != shape.inputs:
            take(f"blocks.{number}.expand", f"{place}.{part}")
            part += 1
        take(f"blocks.{number}.depthwise", f"{place}.{part}")
        part += 1
        if shape.squeeze:
            for layer in ("fc1", "fc2"):
                for kind in ("weight", "bias"):
                    theirs = f"{place}.{part}.conc_se_layers.0.{layer}.{kind}"
                    found[f"blocks.{number}.gate.{layer}.{kind}"] = weights[theirs]
            part += 1
        take(f"blocks.{number}.project", f"{place}.{part}")
    return found


def learn_statistics(trunk: MobileNet) -> None:
    """For a trunk that begins with noise: its norms have no statistics yet."""
    for part in trunk.modules():
        if isinstance(part, ConvNorm):
            part.learns_statistics = True


def associations(pairs: Iterable[Pair], vocabulary: int) -> Tensor:
    """(vocabulary, classes), 0 to 1: how much a class makes a token likelier."""
    heard: list[Tensor] = []
    used: list[Tensor] = []
    for classes, tokens in pairs:
        row = torch.zeros(vocabulary)
        row[list(set(tokens))] = 1.0
        heard.append(classes)
        used.append(row)
    sounds, words = torch.stack(heard), torch.stack(used)  # (texts, classes), (texts, vocabulary)
    together = words.T @ sounds
    chance = words.sum(0)[:, None] * sounds.sum(0)[None] / len(sounds)
    lift = torch.log((together + 1e-6) / (chance + 1e-6)).where(together >= LEAST_TIMES, 0.0)
    return ((lift - LEAST_LIFT) / (HIGHEST_LIFT - LEAST_LIFT)).clamp(0, 1)


def single_sounds(scripts: Scripts, sampler: Sampler, tokenizer: Tokenizer, count: int, seed: int) -> Iterator[Pair]:
    """Captions of single clips, in the case of captions and in that of questions."""
    chance, rng = np.random.default_rng(seed), Random(seed)
    found = 0
    while found < count:
        clip = sampler.draw(chance)
        kind = scripts.kind(clip)
        if kind is None:
            continue
        found += 1
        classes = amplify_small(torch.from_numpy(scripts.targets(clip)))
        scene = Scene(SECONDS, (Event(kind, 0.0, SECONDS, rng.uniform(-40, -10)),))
        for number in range(TEXTS_PER_SOUND):
            caption = write_caption(scene, rng)
            yield classes, tokenizer.encode(caption.lower() if number % 2 else caption)
