"""Which code does the arithmetic, chosen in one place.

Plain PyTorch runs everywhere and defines the numbers. Quicker kernels (oneDNN's own and loops compiled by numba on a
CPU, our own in Triton or mamba_ssm's on CUDA) take its place only after they gave its result on a small problem on this
very machine; whatever fails to import or to agree is left out silently and shown by `report`.
`SAM_KERNELS=torch`, or `force("torch")`, keeps to plain PyTorch; `triton` and `mamba-ssm` say which kernels CUDA runs.
The choice changes numbers by rounding only.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor

KINDS = ("auto", "torch", "triton", "mamba-ssm")
TOLERANCE = 2e-3  # Triton's float32 products may run in TF32

_forced = os.environ.get("SAM_KERNELS", "auto")


def force(kind: str) -> None:
    """ "torch" for plain PyTorch only, "auto" for the quickest that agree with it, else the kernels of that name."""
    global _forced
    if kind not in KINDS:
        raise ValueError(f"'{kind}' is not a choice of kernels; choose one of {', '.join(KINDS)}")
    _forced = kind


def chosen() -> str:
    """One of KINDS."""
    return _forced


def plain() -> bool:
    return _forced == "torch"


def interpreted() -> bool:
    """Whether kernels for CUDA run on this processor, to be tested."""
    return _forced == "triton" and os.environ.get("TRITON_INTERPRET") == "1"


def onednn_applies(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN's own operators may take it: they know float32 on a CPU, and no gradients."""
    return (
        x.dtype is torch.float32
        and weight.dtype is torch.float32
        and x.device.type == "cpu"
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        and not torch.is_autocast_enabled("cpu")
        and not plain()
        and not interpreted()
    )


def loops_apply(x: Tensor) -> bool:
    """Whether compiled loops may take what comes of x: they know processors' memory, and no gradients."""
    quick = not plain() and not interpreted()
    return x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu") and quick


def operators_pass(check: Callable[[], bool]) -> bool:
    """Whether a check of operators runs through and says yes. They are internal, and may go."""
    try:
        return check()
    except (AttributeError, RuntimeError, NotImplementedError):
        return False


def package_passes(check: Callable[[], bool]) -> bool:
    """The same of optional packages, which may be broken in any way at all."""
    try:
        return check()
    except Exception:
        return False


def nearly_equal(fast: Tensor, exact: Tensor, tolerance: float = TOLERANCE) -> bool:
    return bool((fast.float() - exact.float()).abs().max() <= tolerance * exact.float().abs().max())
