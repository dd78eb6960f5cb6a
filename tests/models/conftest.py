"""Parity fixtures: tiny weights in the authors' own layouts, with what the authors' programs made of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from samcli.checkpoints.safety import read_header
from samcli.checkpoints.tensors import MappedWeights, fill
from samcli.models.layouts import Layout, same_numbers

FIXTURES = Path(__file__).parent.parent / "fixtures"
Tensors = dict[str, Tensor]


class Parity:
    def load(self, name: str) -> tuple[Tensors, Tensors]:
        """The weights and the case of a fixture, by its folder's name."""
        path = FIXTURES / name / "weights.safetensors"
        weights = MappedWeights({path: read_header(path)}).tensors  # as a user's folder is read
        return weights, load_file(FIXTURES / name / "case.safetensors")

    def ours(self, weights: Tensors, layout: Layout) -> Tensors:
        names = layout.rename(weights)
        return {names[key]: value for key, value in weights.items() if names[key]}

    def shapes(self, tensors: Tensors) -> dict[str, tuple[int, ...]]:
        return {name: tuple(value.shape) for name, value in tensors.items()}

    def fill(self, model: nn.Module, ours: Tensors) -> Any:
        """As a user's folder is loaded: every tensor finds its place and every place its tensor."""
        wanted = model.state_dict()
        for name, value in ours.items():
            if name in wanted and same_numbers(tuple(value.shape), tuple(wanted[name].shape)):
                ours = ours | {name: value.reshape(wanted[name].shape)}
        fill(model, ours, dtype=None, device="cpu", where="the fixture")
        return model.eval().requires_grad_(False)

    def worst(self, found: Tensor, wanted: Tensor) -> float:
        """The largest difference of two tensors of one shape."""
        assert found.shape == wanted.shape, (found.shape, wanted.shape)
        return float((found - wanted).detach().abs().max())


@pytest.fixture
def parity() -> Parity:
    return Parity()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
