"""The transformer that teaches, and the student at its start.

The teacher is a student's own frame with softmax attention in the place of its mixers. Every block gives the matrix by
which its attention mixes tokens. It only listens to whole windows: there is no cache.

The student begins with the teacher's frame as it is, and with mixers that do as its attention, as far as they can.
A mixer's C, B and x are projected by what projected queries, keys and values; the convolution passes them on, and the
gate is open. In the place of the softmax, each head mixes by (one + choice * C B^T) * decay, the start of the
exponential's series with a past that fades; the three numbers, and D, are those that fit the teacher's matrices best on
a few windows. One channel of the state is given to the one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.language.phi import DiscreteMamba2, PhiConfig, PhiLanguageModel

OPEN = 1.2784645  # silu(OPEN) = 1
DECAYS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)  # of which a head begins with one
LEAST_MEAN = 0.01  # of the squared length of what is read: below it, no weights can tell a constant


@dataclass(frozen=True)
class TeacherConfig:
    frame: PhiConfig  # everything but the attention; `heads` is the attention's
    kv_heads: int
    head_dim: int
    rotary: int  # leading channels of a head that turn with the position
    theta: float  # base of their frequencies
    bias: bool  # of queries, keys and values
    out_bias: bool

    def __post_init__(self) -> None:
        if self.frame.heads % self.kv_heads or self.rotary % 2 or not 0 < self.rotary <= self.head_dim:
            raise ValueError("heads must divide into kv_heads, and a head turns an even number of channels")


class Attention(nn.Module):
    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = c = config
        width, each = c.frame.d_model, c.head_dim
        self.q = FastLinear(width, c.frame.heads * each, c.bias)
        self.k = FastLinear(width, c.kv_heads * each, c.bias)
        self.v = FastLinear(width, c.kv_heads * each, c.bias)
        self.out_proj = FastLinear(c.frame.heads * each, width, c.out_bias)

    def forward(self, x: Tensor, state: None = None, lengths: None = None) -> tuple[Tensor, None]:
        """In the form of a recurrent mixer, whose state it has none of."""
        q, k = self._turned(x)
        y = F.scaled_dot_product_attention(q, k, self._heads(self.v(x)), is_causal=True)
        return self.out_proj(y.transpose(1, 2).flatten(2)), None

    def transfer_matrix(self, x: Tensor) -> Tensor:
        """(batch, heads, length, length) M with y = M x per head, before the output."""
        q, k = self._turned(x)
        scores = (q @ k.transpose(-1, -2)).float() * self.config.head_dim**-0.5
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        matrix: Tensor = scores.masked_fill(future, -torch.inf).softmax(-1)
        return matrix

    def _turned(self, x: Tensor) -> tuple[Tensor, Tensor]:
        c = self.config
        places = torch.arange(x.shape[1], device=x.device, dtype=torch.float32)
        inverse = c.theta ** (-torch.arange(0, c.rotary, 2, device=x.device, dtype=torch.float32) / c.rotary)
        angles = torch.outer(places, inverse).repeat(1, 2)  # (length, rotary)
        return turn(self._heads(self.q(x)), angles), turn(self._heads(self.k(x)), angles)

    def _heads(self, x: Tensor) -> Tensor:
        """(batch, heads, length, head_dim), each key and value once for every head that reads it."""
        split = x.reshape(*x.shape[:-1], -1, self.config.head_dim).transpose(1, 2)
        return split.repeat_interleave(self.config.frame.heads // split.shape[1], dim=1)


def turn(x: Tensor, angles: Tensor) -> Tensor:
    """Rotary positions: channel i of a head's turning half and channel i of the other are a point in the plane."""
    turning, still = x[..., : angles.shape[-1]], x[..., angles.shape[-1] :]
    one, other = turning.chunk(2, dim=-1)
    turned = turning * angles.cos().to(x.dtype) + torch.cat([-other, one], dim=-1) * angles.sin().to(x.dtype)
    return torch.cat([turned, still], dim=-1)


class Teacher(PhiLanguageModel):
    def __init__(self, config: TeacherConfig) -> None:
        super().__init__(config.frame)
        self.attention = config
        for layer in self.backbone.layers:
            layer.mixer = Attention(config)

    def streams(self, tokens: Tensor) -> list[Tensor]:
        """The residual stream before every block, and after the last."""
        found = [self.embed(tokens)]
        for layer in self.backbone.layers:
            found.append(layer(found[-1])[0])
        return found


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
