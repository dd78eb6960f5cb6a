"""The student at its start: the teacher's frame as it is, and mixers that begin as its attention without the softmax.

A mixer's C, B and x are projected by what projected queries, keys and values; the convolution passes them on, and the
gate is open. Nothing of the matrices' shape is known yet: how a head forgets, and how strongly it mixes, is learned.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from samcli.ssm.language.phi import DiscreteMamba2, PhiLanguageModel
from samcli.training.mohawk.teacher import Attention, Teacher

OPEN = 1.2784645  # silu(OPEN) = 1
FORGETTING_STD = 0.02  # of the weights that tell how much is forgotten; 0 would keep half of it in every head


def beginner(teacher: Teacher, seed: int = 0) -> PhiLanguageModel:
    """A student in evaluation mode, on the CPU."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        student = PhiLanguageModel(teacher.config)
        frame = {name: value for name, value in teacher.state_dict().items() if ".mixer." not in name}
        student.load_state_dict(frame, strict=False)
        for ours, theirs in zip(student.backbone.layers, teacher.backbone.layers, strict=True):
            begin_as(ours.mixer, theirs.mixer)  # type: ignore[arg-type]
            _take_bias(ours, theirs.mixer)
    return student.eval()


def begin_as(mixer: DiscreteMamba2, attention: Attention) -> None:
    c, wide = mixer.config, attention.config
    scale = wide.head_dim**-0.5
    parts = [_each_head(part, attention) for part in (attention.v, attention.k, attention.q)]
    weights = [weight.cpu() for weight, _ in parts]
    weights[2] = weights[2] * scale
    rows = mixer.in_proj.weight
    rows.zero_()
    rows[: c.conv_channels] = torch.cat(weights)
    rows[c.conv_channels + c.d_inner :].normal_(0.0, FORGETTING_STD)
    mixer.conv1d.weight.zero_()
    mixer.conv1d.weight[:, :, -1] = 1.0
    biases = [torch.zeros(len(weight)) if bias is None else bias.cpu() for weight, bias in parts]
    biases[2] = biases[2] * scale
    assert mixer.conv1d.bias is not None
    mixer.conv1d.bias.copy_(torch.cat(biases))
    mixer.z_bias.fill_(OPEN)
    mixer.D.zero_()
    mixer.out_proj.weight.copy_(attention.out_proj.weight)


def _each_head(part: Any, attention: Attention) -> tuple[Tensor, Tensor | None]:
    """A projection's weight and bias with a copy for every head that shares it."""
    heads, each = attention.config.frame.heads, attention.config.head_dim

    def spread(value: Tensor) -> Tensor:
        grouped = value.unflatten(0, (-1, each))
        return grouped.repeat_interleave(heads // len(grouped), dim=0).flatten(0, 1)

    return spread(part.weight), None if part.bias is None else spread(part.bias)


def _take_bias(block: Any, attention: Attention) -> None:
    """The bias of the attention's output; beside the MLP it is one with the MLP's own."""
    if attention.out_proj.bias is not None:
        slot = block.mixer.out_proj.bias if block.mixer.out_proj.bias is not None else block.mlp.fc2.bias
        slot.copy_(attention.out_proj.bias.cpu() + (0 if slot is block.mixer.out_proj.bias else slot))
