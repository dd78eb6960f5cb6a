"""Which code does the arithmetic, chosen in one place.

Plain PyTorch runs everywhere and defines the numbers. Quicker kernels (oneDNN's own and loops compiled by numba on a
CPU, mamba_ssm's and causal_conv1d's on CUDA) take its place only after they gave its result on a small problem on this
very machine; whatever fails to import or to agree is left out silently and shown by `describe`.
`SAM_KERNELS=torch`, or `force("torch")`, keeps to plain PyTorch. The choice changes numbers by rounding only.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

KINDS = ("auto", "torch")
TOLERANCE = 2e-3  # Triton's float32 products may run in TF32

Scan = Callable[..., tuple[Tensor, Tensor]]
_forced = os.environ.get("SAM_KERNELS", "auto")


def force(kind: str) -> None:
    """ "torch" for plain PyTorch only, "auto" for the quickest that agree with it."""
    global _forced
    if kind not in KINDS:
        raise ValueError(f"'{kind}' is not a choice of kernels; choose one of {', '.join(KINDS)}")
    _forced = kind


def plain() -> bool:
    return _forced == "torch"


def onednn_may(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN's own operators may take it: they know float32 on a CPU, and no gradients."""
    return (
        x.dtype is torch.float32
        and weight.dtype is torch.float32
        and x.device.type == "cpu"
        and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
        and not torch.is_autocast_enabled("cpu")
        and not plain()
    )


def loops_may(x: Tensor) -> bool:
    """Whether compiled loops may take what comes of x: they know processors' memory, and no gradients."""
    return (
        x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu") and not plain()
    )


def holds(check: Callable[[], bool]) -> bool:
    """Whether a check of operators runs through and says yes. They are internal, and may go."""
    try:
        return check()
    except (AttributeError, RuntimeError, NotImplementedError):
        return False


def never_raises(check: Callable[[], bool]) -> bool:
    """The same of optional packages, which may be broken in any way at all."""
    try:
        return check()
    except Exception:
        return False


def close(fast: Tensor, exact: Tensor, tolerance: float = TOLERANCE) -> bool:
    return bool((fast.float() - exact.float()).abs().max() <= tolerance * exact.float().abs().max())


def describe() -> dict[str, str]:
    """What is in use, for people, on every kind of device present."""
    from samcli.ssm.fast.linear import onednn_products
    from samcli.ssm.fast.maps import onednn_convolutions
    from samcli.ssm.fast.winograd import packed_convolutions

    found = {
        "choice": "plain PyTorch, forced" if plain() else "automatic",
        "cpu products": "oneDNN, packed for decoding" if not plain() and onednn_products() else "PyTorch",
        "cpu convolutions": "oneDNN, with their activation" if not plain() and onednn_convolutions() else "PyTorch",
        "cpu large convolutions": "Winograd" if not plain() and packed_convolutions() else "as the others",
        "cpu loops": loops(),
    }
    if torch.cuda.is_available():
        found["cuda scan"] = "mamba_ssm" if triton_scan() else f"PyTorch ({missing('mamba_ssm')})"
        found["cuda convolution"] = "causal_conv1d" if cuda_convolution() else f"PyTorch ({missing('causal_conv1d')})"
        found["cuda decoding"] = "PyTorch" if plain() else "captured graph"
    return found


def loops() -> str:
    """Which loops are compiled; asking compiles those that never were."""
    from samcli.ssm.fast import winograd
    from samcli.ssm.fast.compiled import decoding as compiled_decoding
    from samcli.ssm.fast.compiled import norms as compiled_norms
    from samcli.ssm.fast.compiled import reading as compiled_reading
    from samcli.ssm.fast.compiled import windows as compiled_windows
    from samcli.ssm.fast.loops import compiler

    if plain() or not compiler.installed():
        return "PyTorch (forced)" if plain() else "PyTorch (numba is not installed)"
    agree = {
        "decoding": all(map(compiled_decoding.agrees, compiler.KINDS)),
        "reading": all(map(compiled_reading.agrees, compiler.KINDS)),
        "windows": all(map(compiled_windows.agrees, compiler.KINDS)),
        "norms": compiled_norms.agrees(),
        "convolutions": winograd.loops_agree(),
    }
    wrong = [name for name, right in agree.items() if not right]
    return f"numba, but PyTorch for {', '.join(wrong)}" if wrong else "numba"


def missing(package: str) -> str:
    """Why a package is not in use."""
    if plain():
        return "forced"
    try:
        __import__(package)
    except Exception as error:  # a broken binary package can raise anything at all
        return f"{package}: {type(error).__name__}"
    return f"{package} disagreed"


def triton_scan() -> Scan | None:
    """mamba_ssm's chunked scan with the arguments of `ssd`, or None."""
    return None if plain() or not torch.cuda.is_available() else _checked_scan()


def cuda_convolution() -> Callable[..., Any] | None:
    """causal_conv1d's convolution (batch, channels, length), or None."""
    return None if plain() or not torch.cuda.is_available() else _checked_convolution()


@functools.cache
def _checked_scan() -> Scan | None:
    try:
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    except Exception:
        return None

    def scan(
        x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        y, end = mamba_chunk_scan_combined(x, dt, A, B, C, 256, D=D, initial_states=state, return_final_states=True)
        return y, end.to(torch.float32)

    return scan if _agrees_on_scan(scan) else None


def _agrees_on_scan(scan: Scan) -> bool:
    from samcli.ssm.ssd import ssd

    chance = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=chance).cuda()

    x, B, C = normal(2, 300, 4, 64), normal(2, 300, 1, 32), normal(2, 300, 1, 32)
    dt, A = normal(2, 300, 4).abs(), -normal(4).abs()
    dt[1, 170:] = 0  # padding must pass through
    D, state = normal(4), normal(2, 4, 64, 32)
    try:
        with torch.no_grad():
            pairs = zip(scan(x, dt, A, B, C, D, state), ssd(x, dt * A, B, C, dt, D, state), strict=True)
            return all(close(fast, exact) for fast, exact in pairs)
    except Exception:
        return False


@functools.cache
def _checked_convolution() -> Callable[..., Any] | None:
    try:
        from causal_conv1d import causal_conv1d_fn
    except Exception:
        return None
    chance = torch.Generator().manual_seed(0)
    seen, weight, bias = (torch.randn(*s, generator=chance).cuda() for s in ((2, 64, 23), (64, 4), (64,)))
    try:
        exact = torch.nn.functional.conv1d(seen, weight[:, None], bias, groups=64)
        agrees = close(causal_conv1d_fn(seen, weight, bias)[..., 3:], exact)
    except Exception:
        return None
    return causal_conv1d_fn if agrees else None
