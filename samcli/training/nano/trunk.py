"""Where the encoder begins: EfficientAT's mn04_as (MIT), which heard two million clips, in place of noise.

The trunk takes its weights as they are; its classifier becomes the part of the window's head that reads the mean of the
last map. So an untrained encoder tags as mn04 does.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from samcli.errors import ModelError
from samcli.models.encoders.mobilenet import MN04, WIDEN, ConvNorm, MobileNet
from samcli.models.encoders.nano import NanoEncoder

# Their weights stay: edges and onsets are the same everywhere, and half of the work of learning would go there.
FIRST_BLOCKS = ("encoder.trunk.stem.", *(f"encoder.trunk.blocks.{number}." for number in range(3)))
NEW_WEIGHT_STD = 0.01  # of what the window's head reads beside mn04's mean

Weights = dict[str, Tensor]


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
