"""One token at a time through a Mamba-2 language model on a CPU.

Speaking is bound by reading the weights once per token, so everything else has to be small: weights are packed,
constants are prepared once, a row's state stays in the cache from its decay to its product with C, and a state that
nobody else holds is overwritten. The numbers are those of the model's own forward up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.fast.compiled import decoding as compiled_decoding
from samcli.ssm.fast.compiled.decoding import CompiledHead, CompiledLayer
from samcli.ssm.fast.linear import FastLinear, one_row, unpickled_as_none
from samcli.ssm.language.blocks import Backbone, ResidualBlock
from samcli.ssm.mamba2 import Mamba2
from samcli.ssm.state import BlockState, State, scan_dtype

SHARES = 4  # of a row's state in the product with C


class DecodingLayer:
    """One residual block, for x of a single token per row."""

    def __init__(self, block: ResidualBlock) -> None:
        mixer = block.mixer
        if type(mixer) is not Mamba2:
            raise TypeError("only Mamba-2 blocks decode this way")
        self.config = c = mixer.config
        dtype = scan_dtype(mixer.A_log.dtype)
        self.norm, self.inner_norm = block.norm.weight.to(dtype), mixer.norm.weight.to(dtype)
        self.eps, self.inner_eps = (torch.tensor([eps], dtype=dtype) for eps in (block.norm.eps, c.norm_eps))
        self.project_in = _few_rows(mixer.in_proj, block.norm.weight.dtype)
        self.project_out = _few_rows(mixer.out_proj, block.norm.weight.dtype)
        self.taps = mixer.conv1d.weight[:, 0].t().to(dtype).contiguous()  # (width, channels)
        self.conv_bias = torch.zeros(c.conv_channels) if mixer.conv1d.bias is None else mixer.conv1d.bias
        self.conv_bias = self.conv_bias.to(dtype)
        self.dt_bias, self.D = mixer.dt_bias.to(dtype), mixer.D.to(dtype)[:, None]  # (heads,), (heads, 1)
        self.A = -mixer.A_log.to(dtype).exp()
        self.shares = math.gcd(c.d_inner, SHARES)
        self.parts = [c.d_inner, c.conv_channels, c.heads], [c.d_inner, c.ngroups * c.d_state, c.ngroups * c.d_state]

    def __call__(self, residual: Tensor, state: BlockState, owned: bool) -> BlockState:
        """Adds the block's output to `residual` (batch, d_model); the new state takes the old one's memory if owned."""
        c, batch = self.config, len(residual)
        projected = self.project_in((residual * _per_rms(residual, self.eps)).mul_(self.norm))
        z, xBC, dt = torch.split_with_sizes(projected, self.parts[0], dim=-1)
        window = torch.cat([state.tail, xBC[:, None]], dim=1)  # (batch, width, channels)
        heard = F.silu((window * self.taps).sum(1).add_(self.conv_bias), inplace=True)
        x, B, C = torch.split_with_sizes(heard, self.parts[1], dim=-1)
        dt = F.softplus(dt + self.dt_bias)
        decay = (dt * self.A).exp_()  # (batch, heads)
        x = x.view(batch, c.heads, c.headdim)
        scaled = x * dt[..., None]
        ssm = state.ssm if owned else torch.empty_like(state.ssm)
        if batch == 1:
            y = self.advance(state.ssm[0], decay[0], ssm[0], scaled[0], B[0], C[0])
        else:
            rows = zip(*(each.unbind(0) for each in (state.ssm, decay, ssm, scaled, B, C)), strict=True)
            y = torch.stack([self.advance(*row) for row in rows])
        y = y.view(x.shape).addcmul_(x, self.D)
        gated = F.silu(z).mul_(y.view(batch, -1)).view(batch, c.ngroups, -1)
        normed = gated.mul_(_per_rms(gated, self.inner_eps)).view(batch, -1).mul_(self.inner_norm)
        residual += self.project_out(normed)
        return BlockState(ssm, window[:, 1:])

    def advance(self, old: Tensor, decay: Tensor, new: Tensor, scaled: Tensor, B: Tensor, C: Tensor) -> Tensor:
        """One row's h = decay h + scaled B, while h is in the cache; `new` may be `old`. Returns h C."""
        groups, N = self.config.ngroups, new.shape[-1]
        torch.mul(old, decay[:, None, None], out=new)  # (heads, head_dim, N)
        if groups == 1:
            h = new.view(-1, N).addcmul_(scaled.view(-1, 1), B[None])
            return one_row(C[None], h.view(self.shares, -1, N))
        grouped = new.view(groups, -1, N).addcmul_(scaled.view(groups, -1, 1), B.view(groups, 1, N))
        return torch.bmm(grouped, C.view(groups, N, 1))


def _per_rms(x: Tensor, eps: Tensor) -> Tensor:
    """One over the root of the mean square along the last axis, in fewer operations than the modules' norms take."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.addcmul(eps, length, length, value=1 / x.shape[-1]).rsqrt_()


def _few_rows(module: nn.Module, weights: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A projection of (batch, width) in the scan's dtype; what stands in for it may look at (batch, length, width)."""
    if type(module) is FastLinear and module.product is not None:
        return module.product.rows
    if isinstance(module, nn.Linear):
        return lambda x: module(x.to(weights)).to(x.dtype)
    return lambda x: module(x[:, None].to(weights))[:, 0].to(x.dtype)


class Decoder:
    """The whole model, for one token per row."""

    def __init__(self, backbone: Backbone, head: nn.Linear) -> None:
        self.embedding = backbone.embedding.weight
        self.layers = [_layer(cast(ResidualBlock, layer)) for layer in backbone.layers]
        self.norm, self.head = backbone.norm_f, head
        plain = type(self.head) is FastLinear and self.head.bias is None
        compiled = plain and compiled_decoding.applies(self.head.weight.dtype)
        self.judge: Callable[[Tensor], Tensor] = CompiledHead(self.norm, self.head) if compiled else self._judge

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return unpickled_as_none, ()

    @torch.no_grad()
    def step(self, tokens: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        return self.step_from(self.embedding[tokens], state, owned)

    @torch.no_grad()
    def step_from(self, embeddings: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        # a copy of our own: the layers add to it
        residual = embeddings.to(scan_dtype(embeddings.dtype), copy=True)  # (batch, d_model)
        new = tuple(layer(residual, old, owned) for layer, old in zip(self.layers, state, strict=True))
        return self.judge(residual), new

    def _judge(self, residual: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(residual))
        return logits


def _layer(block: ResidualBlock) -> DecodingLayer | CompiledLayer:
    mixer = block.mixer
    if type(mixer) is Mamba2:
        plain = all(type(module) is FastLinear and module.bias is None for module in (mixer.in_proj, mixer.out_proj))
        if plain and compiled_decoding.applies(mixer.in_proj.weight.dtype):
            return CompiledLayer(block.norm, mixer)
    return DecodingLayer(block)
