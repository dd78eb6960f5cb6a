"""Mixture-of-Mamba: projections of their own for each modality, one convolution and one scan (arXiv 2501.16295).

An option for any block whose projections are called as modules, a Mamba-2 language model's among them:
`split_projections(model)` gives every modality a copy, `with heard_as(AUDIO): ...` says what the tokens of a call are.
Off unless asked for. While the copies hold the same weights, the results are the dense block's, bit for bit.

A call of one modality costs what the dense block costs. A call with both computes each projection once per modality and
picks, so sequences are best fed modality by modality with the state carried, as listening and speaking do anyway.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from samcli.errors import ModelError
from samcli.models.layouts import Layout
from samcli.ssm.fast.linear import FastLinear

TEXT, AUDIO = 0, 1

# One number for a whole call, or (batch, length) of them. A context variable, so that threads do not see each other's.
_modality: ContextVar[int | Tensor] = ContextVar("modality", default=TEXT)


@contextmanager
def use_modality(modality: int | Tensor) -> Iterator[None]:
    """Inside, tokens belong to this modality: one number, or one for each token (batch, length)."""
    token = _modality.set(modality)
    try:
        yield
    finally:
        _modality.reset(token)


class SplitLinear(nn.Module):
    """One linear layer per modality, all starting as copies of a dense one."""

    def __init__(self, dense: nn.Linear) -> None:
        super().__init__()
        self.experts = nn.ModuleList(_copy(dense) for _ in (TEXT, AUDIO))

    @property
    def weight(self) -> Tensor:
        raise ModelError("Projections split by modality have no single weight; kernels that read one cannot be used.")

    def forward(self, x: Tensor) -> Tensor:
        modality = _modality.get()
        if isinstance(modality, int):
            one: Tensor = self.experts[modality](x)
            return one
        if modality.shape != x.shape[:-1]:
            raise ValueError(
                f"modalities for {tuple(modality.shape)} tokens were given with {tuple(x.shape[:-1])} tokens"
            )
        out: Tensor = self.experts[0](x)
        for number in range(1, len(self.experts)):
            out = torch.where((modality == number)[..., None], self.experts[number](x), out)
        return out


def _copy(dense: nn.Linear) -> nn.Linear:
    """Of the same class, adapters included: another way to multiply would round differently."""
    if isinstance(dense, FastLinear):
        dense.unpack()
    return copy.deepcopy(dense)


def split_projections(model: nn.Module, names: Sequence[str] = ("in_proj", "out_proj")) -> nn.Module:
    """Give every modality its own copy of the named projections, in place; returns the model."""
    found = [
        (path, module)
        for path, module in model.named_modules()
        if path.split(".")[-1] in names and isinstance(module, nn.Linear)
    ]
    if not found:
        raise ModelError(f"The model has no projections named {' or '.join(names)} to split.")
    for path, dense in found:
        parent, _, last = path.rpartition(".")
        setattr(model.get_submodule(parent), last, SplitLinear(dense))
    return model


# A bias of an unsplit dt_proj is stored but never used by the authors' code: dropped.
LAYOUT = Layout(
    sign=r"(^|\.)local_experts_in_proj\.0\.",
    rules=((r"(^|\.)local_experts_(in_proj|x_proj|dt_proj|out_proj)\.", r"\1\2.experts."),),
    dropped=r"(^|\.)dt_proj\.bias$",
)
