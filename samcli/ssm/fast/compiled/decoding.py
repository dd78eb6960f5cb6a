"""Decoding by compiled loops: one call per layer for a few rows, one between the two projections for many.

A row of few is bound by reading the weights, and the loops read them at nearly the rate that memory allows.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from samcli.ssm.fast import kernels
from samcli.ssm.fast.compiled import compiler
from samcli.ssm.fast.linear import FastLinear, unpickled_as_none
from samcli.ssm.mamba2 import Mamba2, Mamba2Config
from samcli.ssm.norms import RMSNorm, rms_norm
from samcli.ssm.state import BlockState

if TYPE_CHECKING:
    from collections.abc import Callable

FEW = 4  # rows up to which the weights are read by the loops themselves


def applies(weights: torch.dtype) -> bool:
    """Whether the loops are there, and right, for weights of this kind."""
    return weights in compiler.KINDS and not kernels.plain() and agrees(weights)


class CompiledLayer:
    """One residual block, for x of a single token per row; it needs plain float32 or bfloat16 projections."""

    def __init__(self, norm: RMSNorm, mixer: Mamba2) -> None:
        from samcli.ssm.fast.compiled import stretches, tokens

        c = mixer.config
        self.few, self.many, self.norms, self.inner = tokens.few, tokens.many, stretches.norms, c.d_inner
        self.project_in, self.project_out = (_rows(module) for module in (mixer.in_proj, mixer.out_proj))
        bias = torch.zeros(c.conv_channels) if mixer.conv1d.bias is None else mixer.conv1d.bias
        taps = mixer.conv1d.weight[:, 0].t()  # (width, channels)
        small = (taps, bias, mixer.dt_bias, -mixer.A_log.detach().float().exp(), mixer.D)
        inner_norm = compiler.floats(mixer.norm.weight), np.float32(c.norm_eps)
        self.between = (*(compiler.floats(each) for each in small), c.ngroups, *inner_norm)
        self.norm = compiler.floats(norm.weight), np.float32(norm.eps)
        into, out_of = (compiler.array(projection.weight) for projection in (mixer.in_proj, mixer.out_proj))
        self.whole = (*self.norm, into, *self.between, out_of)
        self.weights = norm.weight.dtype

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return unpickled_as_none, ()

    def __call__(self, residual: Tensor, state: BlockState, owned: bool) -> BlockState:
        """Adds the block's output to `residual` (batch, d_model); the new state takes the old one's memory if owned."""
        if not (owned and state.ssm.is_contiguous() and state.tail.is_contiguous()):
            state = BlockState(*(part.clone(memory_format=torch.contiguous_format) for part in state))
        ssm, tail, size = state.ssm.numpy(), state.tail.numpy(), compiler.threads()
        if len(residual) <= FEW:
            self.few(size, residual.numpy(), *self.whole, ssm, tail)
            return state
        normed = residual.new_empty(residual.shape, dtype=self.weights)
        self.norms(size, residual.numpy(), *self.norm, compiler.array(normed))
        projected = self.project_in(normed)
        y = projected.new_empty(len(residual), self.inner)
        self.many(size, compiler.array(projected), *self.between, ssm, tail, compiler.array(y))
        residual += self.project_out(y)
        return state


class CompiledHead:
    """The final norm and the head."""

    def __init__(self, norm: RMSNorm, head: nn.Linear) -> None:
        from samcli.ssm.fast.compiled import tokens

        self.loops, self.norm, self.head = tokens, norm, head
        self.prepared = compiler.floats(norm.weight), np.float32(norm.eps), compiler.array(head.weight)

    def __call__(self, residual: Tensor) -> Tensor:
        """(batch, d_model) to logits (batch, vocabulary) in the dtype of the weights."""
        if len(residual) > FEW:
            logits: Tensor = self.head(self.norm(residual))
            return logits
        logits = residual.new_empty(len(residual), self.head.out_features)
        self.loops.head(compiler.threads(), residual.numpy(), *self.prepared, logits.numpy())
        return logits.to(self.head.weight.dtype)


def _rows(module: FastLinear) -> Callable[[Tensor], Tensor]:
    """A projection of rows, in the dtype of its weights."""
    return module if module.product is None else module.product.rows


@functools.cache
def agrees(weights: torch.dtype) -> bool:
    """Few rows and many, against the module itself."""
    if not compiler.installed():
        return False
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        norm, mixer = RMSNorm(32).to(weights), Mamba2(Mamba2Config(32, d_state=16, headdim=16, ngroups=2)).to(weights)
        head = nn.Linear(32, 40, bias=False).to(weights)
        state = mixer.initial_state(FEW + 1)
        state = BlockState(torch.randn_like(state.ssm), torch.randn_like(state.tail))
        x = torch.randn(FEW + 1, 32)
        normed = rms_norm(x, norm.weight, norm.eps).to(weights)
        y, end = mixer(normed[:, None], state)
        exact = (x + y[:, 0], *end)
        logits = head(normed)
        tolerance = 1e-4 if weights is torch.float32 else 0.05

        def right(rows: int) -> bool:
            layer, residual = CompiledLayer(norm, mixer), x[:rows].clone()
            found = (residual, *layer(residual, BlockState(*(part[:rows] for part in state)), False))
            pairs = [*zip(found, exact, strict=True), (CompiledHead(norm, head)(x[:rows]), logits)]
            return all(kernels.nearly_equal(quick, slow[:rows], tolerance) for quick, slow in pairs)

        return kernels.package_passes(lambda: right(FEW + 1) and right(1))
