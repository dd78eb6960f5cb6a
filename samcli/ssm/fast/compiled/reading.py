"""Reading by compiled loops: a stretch of tokens through a Mamba-2 mixer, all chunks side by side.

The matrix products are PyTorch's, one batch of each kind over all heads and chunks; the loops do everything between
two of them in one pass. The scan is float32 throughout. Gradients and more than one group take the plain path.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.ssm.convolution import new_tail
from samcli.ssm.fast import kernels
from samcli.ssm.fast.compiled import compiler
from samcli.ssm.fast.compiled.compiler import array, floats
from samcli.ssm.ssd import LOG2_E
from samcli.ssm.state import BlockState, valid_mask

CHUNK = 64  # tokens (Q)


def applies(mixer: Any, x: Tensor) -> bool:
    """Whether the loops may take what this Mamba-2 mixer projected, are there, and right."""
    weights = mixer.norm.weight.dtype
    fits = weights in compiler.KINDS and x.dtype is weights and mixer.config.ngroups == 1
    kind: Any = type(mixer)
    config: Any = type(mixer.config)
    return fits and kernels.loops_apply(x) and agrees(kind, config, weights)


def read(mixer: Any, projected: Tensor, state: BlockState | None, lengths: Tensor | None) -> tuple[Tensor, BlockState]:
    """projected (batch, length, ...) by in_proj to what out_proj takes, and the state after each row."""
    from samcli.ssm.fast.compiled import stretches

    c, (batch, length, _) = mixer.config, projected.shape
    size, inner = compiler.threads(), c.d_inner
    before = projected.new_zeros(batch, c.d_conv - 1, c.conv_channels).float() if state is None else state.tail
    Q = min(c.chunk_size or CHUNK, length)
    chunks = -(-length // Q)
    filled = chunks * Q

    rows = array(projected.contiguous())
    x = before.new_empty(batch, c.heads, filled, c.headdim)
    BC = before.new_empty(batch, filled, 2 * c.d_state)
    taps, bias = mixer.conv1d.weight[:, 0].t(), mixer.conv1d.bias
    bias = before.new_zeros(c.conv_channels) if bias is None else bias
    stretches.convolve(size, rows, inner, array(before.contiguous()), floats(taps), floats(bias), array(x), array(BC))

    dt = F.softplus(projected[..., inner + c.conv_channels :].float() + mixer.dt_bias.float())
    if lengths is not None:
        dt = dt * valid_mask(lengths, length)[..., None]
    total, left, reach, scale = (x.new_empty(batch, c.heads, chunks, Q) for _ in range(4))
    end, rate = x.new_empty(batch, c.heads, chunks), mixer.A_log.float().exp() * -LOG2_E
    stretches.decays(size, floats(dt), array(rate), *map(array, (total, left, reach, end, scale)))
    B, C = (m.reshape(batch * chunks, Q, c.d_state) for m in torch.split(BC, c.d_state, dim=-1))

    # inside the chunks
    CB = torch.bmm(C, B.mT)
    M = x.new_empty(batch, c.heads, chunks, Q, Q)
    CB = CB.view(batch, chunks, Q, Q)
    stretches.mixing(size, array(total), array(scale), array(CB), floats(mixer.D), array(M))
    y = torch.bmm(M.view(-1, Q, Q), x.view(-1, Q, c.headdim))
    del M

    # from chunk to chunk
    shares = x.new_empty(batch * chunks, Q, inner)
    heads_first = x.view(batch, c.heads, chunks, Q, c.headdim)
    stretches.kept(size, array(heads_first), array(left), array(shares.view(batch, chunks, Q, inner)))
    added = torch.bmm(shares.mT, B)
    ssm = mixer.initial_state(batch).ssm if state is None else state.ssm.clone(memory_format=torch.contiguous_format)
    begun = added.view(batch, chunks, c.heads, -1)
    stretches.carry(size, array(begun), array(end), array(ssm.view(batch, c.heads, -1)))
    carried = torch.bmm(C, added.view(batch * chunks, inner, c.d_state).mT)

    out = projected.new_empty(batch, length, inner)
    y, carried = y.view(batch, c.heads, filled, c.headdim), carried.view(batch, filled, inner)
    norm = floats(mixer.norm.weight), np.float32(c.norm_eps)
    stretches.gate(size, array(y), array(carried), array(reach.view(batch, c.heads, filled)), rows, *norm, array(out))
    return out, BlockState(ssm, _tail(projected[..., inner : inner + c.conv_channels], before, lengths))


def _tail(seen: Tensor, before: Tensor, lengths: Tensor | None) -> Tensor:
    """The convolution's latest inputs of each row."""
    size = before.shape[1]
    if lengths is None:
        seen = seen[:, max(0, seen.shape[1] - size) :]  # of the others nothing is left
    return new_tail(torch.cat([before, seen.float()], dim=1), seen.shape[1], size, lengths)


@functools.cache
def agrees(kind: type[Any], config: type[Any], weights: torch.dtype) -> bool:
    """Rows of unlike lengths in several chunks, from a state, against that kind of mixer's plain path."""
    if not compiler.installed():
        return False
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        mixer = kind(config(32, d_state=16, headdim=16)).to(weights)
        state = BlockState(*(torch.randn_like(part) for part in mixer.initial_state(2)))
        projected = torch.randn(2, 2 * CHUNK + 9, mixer.config.projected).to(weights)
        lengths = torch.tensor([2 * CHUNK + 9, CHUNK - 3])
        tolerance = 1e-4 if weights is torch.float32 else 0.05

        def right() -> bool:
            (y, end), (exact, exact_end) = (
                way(mixer, projected, state, lengths) for way in (read, type(mixer).between)
            )
            valid = valid_mask(lengths, projected.shape[1])[..., None]
            pairs = [(y * valid, exact * valid), *zip(end, exact_end, strict=True)]
            return all(kernels.nearly_equal(quick, slow, tolerance) for quick, slow in pairs)

        return kernels.package_passes(right)
