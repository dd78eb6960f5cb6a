"""Shared by the tests of the state-space core."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from safetensors.torch import load_file
from torch import Tensor

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


class Fixture:
    """Weights and expected tensors made by the authors' code; the README beside them says how."""

    def __init__(self, name: str) -> None:
        self.case: dict[str, Tensor] = load_file(FIXTURES / name / "case.safetensors")
        self.weights: dict[str, Tensor] = load_file(FIXTURES / name / "weights.safetensors")

    def under(self, prefix: str) -> dict[str, Tensor]:
        return {key[len(prefix) :]: value for key, value in self.weights.items() if key.startswith(prefix)}


@pytest.fixture
def authors() -> type[Fixture]:
    return Fixture


@pytest.fixture(scope="session")
def textbook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("textbook", Path(__file__).with_name("textbook.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
