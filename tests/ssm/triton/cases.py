"""What the tests of kernels share: random tensors, plain PyTorch beside them, and how near is near enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from hypothesis import HealthCheck, Phase, settings
from torch import Tensor

from samcli.ssm.fast import kernels

NEAR = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1e-2}
# The interpreter is slow, and to shrink a failing example takes it many more.
EXAMPLES = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Chance:
    """Normal numbers of one seed."""

    def __init__(self, seed: int, device: str, dtype: torch.dtype = torch.float32) -> None:
        self.source, self.device, self.dtype = torch.Generator().manual_seed(seed), device, dtype

    def __call__(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.randn(shape, generator=self.source).to(self.device, dtype or self.dtype)


@contextmanager
def plain() -> Iterator[None]:
    kernels.force("torch")
    try:
        yield
    finally:
        kernels.force("triton")


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest error, beside the largest number that was expected."""
    assert found.shape == expected.shape and found.isfinite().all()
    if not expected.numel():
        return 0.0
    return float((found.float() - expected.float()).abs().max() / expected.float().abs().max().clamp(min=1e-3))
