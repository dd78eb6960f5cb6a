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
    student.eval()
    return student


def begin_as(mixer: DiscreteMamba2, attention: Attention) -> None:
    """The projections, an open gate, and a convolution that passes on what it is given."""
    c = mixer.config
    parts = [_each_head(part, attention) for part in (attention.v, attention.k, attention.q)]
    rows, bias = mixer.in_proj.weight, mixer.conv1d.bias
    assert bias is not None
    rows.zero_()
    rows[: c.conv_channels] = torch.cat([weight for weight, _ in parts])
    bias.copy_(torch.cat([own for _, own in parts]))
    mixer.conv1d.weight.zero_()
    mixer.conv1d.weight[:, :, -1] = 1.0
    mixer.z_bias.fill_(OPEN)
    mixer.D.zero_()
    mixer.out_proj.weight.copy_(attention.out_proj.weight)


def fit(mixer: DiscreteMamba2, h: Tensor, wanted: Tensor) -> None:
    """Set how strongly every head mixes, and how it forgets, to what comes nearest to `wanted` where `h` is read."""
    c, rows, bias = mixer.config, mixer.in_proj.weight, mixer.conv1d.bias
    assert bias is not None
    places = torch.arange(c.d_inner, c.conv_channels, device=h.device).view(2, c.heads, c.d_state)
    for ones in places[:, :, -1]:  # the channel of B, and of C, that becomes a constant
        rows[ones], bias[ones] = 0.0, 0.0
    _, _, B, C, _, _ = mixer._operands(h, None, None)
    choice, one, own, decay = nearest(torch.einsum("blhn,bmhn->bhlm", C, B), wanted).unbind(1)
    rows[places[1].flatten()] *= choice.repeat_interleave(c.d_state)[:, None]
    bias[places[1].flatten()] *= choice.repeat_interleave(c.d_state)
    bias[places[0, :, -1]], bias[places[1, :, -1]] = 1.0, one
    mixer.D.copy_(own)
    mean = h.mean((0, 1))  # forgetting has no bias: what all tokens have in common tells how much
    mean = mean / mean.square().sum().clamp(min=LEAST_MEAN * h.square().sum(-1).mean())
    rows[-c.heads :] = -torch.logit(decay)[:, None] * mean


def nearest(chosen: Tensor, wanted: Tensor) -> Tensor:
    """(heads, 4): choice, one, own and decay for which (one + choice * chosen) * decay ** (i - j), and own on the
    diagonal, are nearest to `wanted`; both are (batch, heads, length, length)."""
    heads, length = wanted.shape[1:3]
    places = torch.arange(length, device=wanted.device)
    diagonal = torch.eye(length, device=wanted.device).expand_as(chosen)
    least = torch.full((heads,), torch.inf, device=wanted.device)
    found = torch.zeros(heads, 4, device=wanted.device)
    for decay in DECAYS:
        faded = (decay ** (places[:, None] - places).float()).tril()
        terms = torch.stack([chosen * faded, faded.expand_as(chosen), diagonal])
        products = torch.einsum("sbhlm,tbhlm->hst", terms, terms)
        aims = torch.einsum("tbhlm,bhlm->ht", terms, wanted)
        factors = torch.linalg.lstsq(products, aims[..., None]).solution[..., 0]  # (heads, 3)
        left = (wanted - torch.einsum("ht,tbhlm->bhlm", factors, terms)).square().sum((0, 2, 3))
        nearer = left < least
        least = torch.where(nearer, left, least)
        found[nearer] = torch.cat([factors, torch.full_like(factors[:, :1], decay)], dim=1)[nearer]
    return found


def _each_head(part: Any, attention: Attention) -> tuple[Tensor, Tensor]:
    """A projection's weight and bias with a copy for every head that shares it."""
    heads, each = attention.config.frame.heads, attention.config.head_dim

    def spread(value: Tensor) -> Tensor:
        grouped = value.reshape(-1, each, *value.shape[1:])
        return grouped.repeat_interleave(heads // len(grouped), dim=0).flatten(0, 1)

    bias = torch.zeros(len(part.weight)).to(part.weight) if part.bias is None else part.bias
    return spread(part.weight), spread(bias)


def _take_bias(block: Any, attention: Attention) -> None:
    """The bias of the attention's output; beside the MLP it is one with the MLP's own."""
    theirs = attention.out_proj.bias
    if theirs is not None and block.mixer.out_proj.bias is not None:
        block.mixer.out_proj.bias.copy_(theirs)
    elif theirs is not None:
        block.mlp.fc2.bias += theirs
