"""When our own kernels run, and how they are launched.

They need Triton, which comes with CUDA builds of torch and compiles them at their first use. They know no gradients.
Without a card they run under Triton's interpreter (TRITON_INTERPRET=1), which proves their arithmetic, but only when
asked for by name: it is very slow.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from samcli.ssm.fast import kernels

KINDS = (torch.float32, torch.bfloat16, torch.float16)
LEAST_SIDE = 16  # of a tile that tensor cores multiply
CHECKED = 40  # steps of the first launch


def installed() -> bool:
    return find_spec("triton") is not None


def interpreted() -> bool:
    """Whether kernels run on this processor, one operation at a time."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def applies(x: Tensor, *others: Tensor | None) -> bool:
    """Whether our kernels may take these."""
    if not (x.is_cuda or (interpreted() and kernels.chosen() == "triton" and x.device.type == "cpu")):
        return False
    given = [x, *(other for other in others if other is not None)]
    return (
        kernels.chosen() in ("auto", "triton")
        and all(each.dtype in KINDS for each in given)
        and not (torch.is_grad_enabled() and any(each.requires_grad for each in given))
        and trouble(x.device) is None
    )


def trouble(device: torch.device) -> str | None:
    """Why our kernels do not run on a device; None when they do."""
    if not installed():
        return "Triton is not installed"
    return _first_launch(str(device))


@functools.cache
def _first_launch(device: str) -> str | None:
    """A small launch, whose result is known: a compiler may be missing, or a card too old."""
    try:
        from samcli.ssm.triton.first_order import first_order_scan

        update = torch.arange(1.0, CHECKED + 1, device=device)[None]
        found, _ = first_order_scan(torch.ones_like(update), update, None)
        torch.testing.assert_close(found, update.cumsum(1))
    except Exception as error:  # compilers and drivers can raise anything at all
        return f"Triton: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    return None


def launch(kernel: Any, grid: Iterable[int], first: Tensor, *arguments: Any, **meta: Any) -> None:
    """Start a kernel on the card that holds its first tensor, whichever is the current one."""
    if first.is_cuda:
        with torch.cuda.device(first.device):
            kernel[tuple(grid)](first, *arguments, **meta)
    else:
        kernel[tuple(grid)](first, *arguments, **meta)


def products(dtype: torch.dtype) -> dict[str, Any]:
    """What a kernel that multiplies matrices must know: the type it rounds factors to, and how float32 is done."""
    import triton.language as tl

    kind = {torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}.get(dtype, tl.float32)
    rough = torch.backends.cuda.matmul.allow_tf32
    # the interpreter multiplies the bits of a bfloat16, not its value
    return {"DOT": tl.float32 if interpreted() else kind, "PRECISION": "tf32" if rough else "ieee"}


def power_of_two(size: int, most: int = 1 << 30, least: int = 1) -> int:
    """The smallest power of two that holds `size`, within bounds."""
    return min(most, max(least, 1 << max(0, size - 1).bit_length()))


def packed(x: Tensor, axes: int) -> Tensor:
    """With its last axes side by side in memory; the axes before them may have any strides."""
    inner = 1
    for axis in range(1, axes + 1):
        if x.shape[-axis] != 1 and x.stride(-axis) != inner:
            return x.contiguous()
        inner *= x.shape[-axis]
    return x
