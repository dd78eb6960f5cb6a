"""Our kernels under Triton's interpreter: their arithmetic, on any machine. They are skipped where that cannot run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from samcli.ssm.fast import kernels

HERE = Path(__file__).parent


def why_not() -> str:
    if find_spec("triton") is None:
        return "Triton is not installed: pip install '.[test-gpu]'"
    if os.environ.get("TRITON_INTERPRET") != "1" and not torch.cuda.is_available():
        return "no CUDA device, and the interpreter is off: set TRITON_INTERPRET=1"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = why_not()
    for item in items:
        if reason and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def ours() -> Iterator[None]:
    kernels.force("triton")
    yield
    kernels.force("auto")


@pytest.fixture(scope="session")
def device() -> str:
    return "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
