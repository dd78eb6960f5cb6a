"""Gradient checkpointing: blocks forget what they computed and compute it again on the way back.

A third more work for a fraction of the memory. Results are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from samcli.models.encoders.registry import ENCODERS
from samcli.ssm.language.blocks import ResidualBlock
from samcli.ssm.language.phi import PhiBlock

BLOCKS: tuple[type[nn.Module], ...] = (ResidualBlock, PhiBlock, *(kind.block for kind in ENCODERS.values()))


def recompute(network: nn.Module) -> int:
    """Make every block of the network forget; how many there are."""
    blocks = [module for module in network.modules() if isinstance(module, BLOCKS)]
    for block in blocks:
        block.forward = _forgetful(block.forward)
    return len(blocks)


def _forgetful(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs)
        return checkpoint(forward, *inputs, use_reentrant=False)

    return run
