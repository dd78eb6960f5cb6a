"""When our own kernels run.

They need Triton, which comes with CUDA builds of torch and compiles them at their first use. They know no gradients.
Without a card they run under Triton's interpreter (TRITON_INTERPRET=1), which proves their arithmetic, but only when
asked for by name: it is very slow.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec

import torch
from torch import Tensor

from samcli.ssm.fast import kernels

KINDS = (torch.float32, torch.bfloat16, torch.float16)
CHECKED = 40  # steps of the first launch


def applies(x: Tensor, *others: Tensor | None) -> bool:
    """Whether our kernels may take these."""
    if not (x.is_cuda or (kernels.interpreted() and x.device.type == "cpu")):
        return False
    given = [x, *(other for other in others if other is not None)]
    return (
        kernels.chosen() in ("auto", "triton")
        and all(each.dtype in KINDS for each in given)
        and not (torch.is_grad_enabled() and any(each.requires_grad for each in given))
        and not torch.is_autocast_enabled(x.device.type)
        and trouble(str(x.device)) is None
    )


@functools.cache
def trouble(device: str) -> str | None:
    """Why our kernels do not run on a device; None when they do.

    A small launch tells, whose result is known: a compiler may be missing, or a card too old.
    """
    if find_spec("triton") is None:
        return "Triton is not installed"
    try:
        from samcli.ssm.triton.first_order import first_order_scan

        update = torch.arange(1.0, CHECKED + 1, device=device)[None]
        found, _ = first_order_scan(torch.ones_like(update), update, None)
        torch.testing.assert_close(found, update.cumsum(1))
    except Exception as error:  # compilers and drivers can raise anything at all
        return f"Triton fails: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    return None
