"""The student at its start: the teacher's frame as it is, and mixers that begin as its attention, as far as they can.

A mixer's C, B and x are projected by what projected queries, keys and values; the convolution passes them on, and the
gate is open. In the place of the softmax, each head mixes by (one + choice * C B^T) * decay, the start of the
exponential's series with a past that fades; the three numbers, and D, are those that fit the teacher's matrices best on
a few windows. One channel of the state is given to the one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from samcli.ssm.language.phi import DiscreteMamba2, PhiLanguageModel
from samcli.training.mohawk.teacher import Attention, Teacher

OPEN = 1.2784645  # silu(OPEN) = 1
DECAYS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)  # of which a head begins with one
LEAST_MEAN = 0.01  # of the squared length of what is read: below it, no weights can tell a constant


@torch.no_grad()
def beginner(teacher: Teacher, windows: Tensor) -> PhiLanguageModel:
    """A student in evaluation mode, beside its teacher; `windows` (few, length) are read once."""
    student = PhiLanguageModel(teacher.config).to(windows.device)
    frame = {name: value for name, value in teacher.state_dict().items() if ".mixer." not in name}
    student.load_state_dict(frame, strict=False)
    blocks = zip(student.backbone.layers, teacher.backbone.layers, teacher.streams(windows), strict=False)
    for ours, theirs, x in blocks:
        mixer: Any = ours.mixer
        attention: Any = theirs.mixer
        begin_as(mixer, attention)
        h = theirs.input_layernorm(x)  # type: ignore[operator]
        fit(mixer, h, attention.transfer_matrix(h))
        _take_bias(ours, attention)
    return student.eval()


def begin_as(mixer: DiscreteMamba2, attention: Attention) -> None:
    c, wide = mixer.config, attention.config
    scale = wide.head_dim**-0.5
    parts = [_each_head(part, attention) for part in (attention.v, attention.k, attention.q)]
    (_, key, query), biases = [weight for weight, _ in parts], [bias for _, bias in parts]
    rows = mixer.in_proj.weight
    rows.zero_()
    rows[: c.conv_channels] = torch.cat([parts[0][0], key, query * scale])
    mixer.conv1d.weight.zero_()
    mixer.conv1d.weight[:, :, -1] = 1.0
    assert mixer.conv1d.bias is not None
    mixer.conv1d.bias.copy_(torch.cat([biases[0], biases[1], biases[2] * scale]))
    mixer.z_bias.fill_(OPEN)
    mixer.D.zero_()
    mixer.out_proj.weight.copy_(attention.out_proj.weight)


def fit(mixer: DiscreteMamba2, h: Tensor, wanted: Tensor) -> None:
    """Set the strength of every head's mixing, and its decay, to what comes nearest to `wanted` where `h` is read."""
    c = mixer.config
    channels = torch.arange(c.d_inner, c.conv_channels, device=h.device).view(2, c.heads, c.d_state)
    ones, bias = channels[:, :, -1], mixer.conv1d.bias  # (B and C, heads)
    assert bias is not None
    mixer.in_proj.weight[ones.flatten()] = 0.0
    bias[ones.flatten()] = 0.0
    _, _, B, C, _, _ = mixer._operands(h, None, None)
    chosen = torch.einsum("blhn,bmhn->bhlm", C, B)
    places = torch.arange(h.shape[1], device=h.device)
    apart = (places[:, None] - places).float()
    best, found = torch.full((c.heads,), torch.inf, device=h.device), torch.zeros(c.heads, 4, device=h.device)
    for decay in DECAYS:
        faded = (decay**apart).tril()
        terms = torch.stack([chosen * faded, faded.expand_as(chosen), torch.eye(len(places)).to(h).expand_as(chosen)])
        products = torch.einsum("sbhlm,tbhlm->hst", terms, terms)
        factors = torch.linalg.lstsq(products, torch.einsum("tbhlm,bhlm->ht", terms, wanted)[..., None]).solution[
            ..., 0
        ]
        left = (wanted - torch.einsum("ht,tbhlm->bhlm", factors, terms)).square().sum((0, 2, 3))
        nearer = left < best
        best = torch.where(nearer, left, best)
        found[nearer] = torch.cat([factors, factors.new_full((c.heads, 1), decay)], 1)[nearer]
    choice, one, own, decay_of = found.unbind(1)
    strength = choice.repeat_interleave(c.d_state)
    mixer.in_proj.weight[channels[1].flatten()] *= strength[:, None]
    bias[channels[1].flatten()] *= strength
    bias[ones[0]], bias[ones[1]] = 1.0, one
    mixer.D.copy_(own)
    mean = h.mean((0, 1))
    mean = mean / mean.square().sum().clamp(min=LEAST_MEAN * h.square().sum(-1).mean())
    mixer.in_proj.weight[-c.heads :] = -torch.logit(decay_of)[:, None] * mean


def _each_head(part: Any, attention: Attention) -> tuple[Tensor, Tensor]:
    """A projection's weight and bias with a copy for every head that shares it."""
    heads, each = attention.config.frame.heads, attention.config.head_dim

    def spread(value: Tensor) -> Tensor:
        grouped = value.unflatten(0, (-1, each))
        return grouped.repeat_interleave(heads // len(grouped), dim=0).flatten(0, 1)

    bias = torch.zeros(len(part.weight)).to(part.weight) if part.bias is None else part.bias
    return spread(part.weight), spread(bias)


def _take_bias(block: Any, attention: Attention) -> None:
    """The bias of the attention's output; beside the MLP it is one with the MLP's own."""
    if attention.out_proj.bias is not None:
        slot = block.mixer.out_proj.bias if block.mixer.out_proj.bias is not None else block.mlp.fc2.bias
        slot.copy_(attention.out_proj.bias + (0 if slot is block.mixer.out_proj.bias else slot))
