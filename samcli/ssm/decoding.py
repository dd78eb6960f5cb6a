"""One token at a time through a Mamba-2 language model on a CPU.

Speaking is bound by reading the weights once per token, so everything else has to be small: weights are packed,
constants are prepared once, a row's state stays in the cache from its decay to its product with C, and a state that
nobody else holds is overwritten. The numbers are those of the model's own forward up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.linear import nothing
from samcli.ssm.mamba2 import Mamba2
from samcli.ssm.state import BlockState, State, scan_dtype

if TYPE_CHECKING:
    from samcli.ssm.language import Backbone, LanguageModel, ResidualBlock


class DecodingLayer:
    """One residual block, for x of a single token per row."""

    def __init__(self, block: ResidualBlock) -> None:
        mixer = block.mixer
        if type(mixer) is not Mamba2:
            raise TypeError("only Mamba-2 blocks decode this way")
        self.config = c = mixer.config
        self.dtype = dtype = scan_dtype(mixer.A_log.dtype)
        self.eps, self.weights_dtype = block.norm.eps, block.norm.weight.dtype
        self.norm, self.inner_norm = block.norm.weight.to(dtype), mixer.norm.weight.to(dtype)
        # adapters may stand where the projections were: they are called as they are
        self.project_in = _one_token(mixer.project_in, mixer.in_proj)
        self.project_out = _one_token(mixer.project_out, mixer.out_proj)
        self.taps = mixer.conv1d.weight[:, 0].t().to(dtype).contiguous()  # (width, channels)
        self.conv_bias = torch.zeros(c.conv_channels) if mixer.conv1d.bias is None else mixer.conv1d.bias
        self.conv_bias = self.conv_bias.to(dtype)
        self.dt_bias, self.D = mixer.dt_bias.to(dtype), mixer.D.to(dtype)[:, None]  # (heads,), (heads, 1)
        self.A = -mixer.A_log.to(dtype).exp()

    def __call__(self, residual: Tensor, state: BlockState, owned: bool) -> BlockState:
        """Adds the block's output to `residual` (batch, d_model); the new state takes the old one's memory if owned."""
        c, dtype = self.config, self.dtype
        batch, N = residual.shape[0], c.d_state
        projected = self.project_in(F.rms_norm(residual, self.norm.shape, self.norm, self.eps).to(self.weights_dtype))
        z, xBC, dt = torch.split(projected.to(dtype), [c.d_inner, c.conv_channels, c.heads], dim=-1)
        window = torch.cat([state.tail, xBC[:, None]], dim=1)  # (batch, width, channels)
        x, B, C = torch.split(
            F.silu((window * self.taps).sum(1).add_(self.conv_bias)), [c.d_inner, c.ngroups * N, c.ngroups * N], dim=-1
        )
        dt = F.softplus(dt + self.dt_bias)
        decay = (dt * self.A).exp_().view(batch, c.heads, 1, 1)
        x = x.view(batch, c.heads, c.headdim)
        scaled = (x * dt[..., None]).view(batch, c.ngroups, -1, 1)  # (batch, groups, heads * head_dim / groups, 1)
        B, C = B.reshape(batch, c.ngroups, 1, N), C.reshape(batch, c.ngroups, N, 1)
        ssm = state.ssm if owned else torch.empty_like(state.ssm)
        y = torch.empty_like(scaled)
        for row in zip(*(t.unbind(0) for t in (state.ssm, decay, ssm, scaled, B, C, y)), strict=True):
            self.advance(*row)
        y = y.view(x.shape).addcmul_(x, self.D).view(batch, c.d_inner)
        gated = F.silu(z).mul_(y).view(batch, c.ngroups, -1)
        normed = F.rms_norm(gated, gated.shape[-1:], None, c.norm_eps).view(batch, c.d_inner).mul_(self.inner_norm)
        residual += self.project_out(normed.to(self.weights_dtype))
        return BlockState(ssm, window[:, 1:])

    def advance(self, old: Tensor, decay: Tensor, new: Tensor, scaled: Tensor, B: Tensor, C: Tensor, y: Tensor) -> None:
        """One row's h = decay h + scaled B, y = h C, while h is in the cache; `new` may be `old`."""
        torch.mul(old, decay, out=new)  # (heads, head_dim, N)
        if self.config.ngroups == 1:
            h = new.view(-1, new.shape[-1]).addcmul_(scaled[0], B[0])  # (heads * head_dim, N)
            torch.mv(h, C[0, :, 0], out=y[0, :, 0])
        else:
            grouped = new.view(self.config.ngroups, -1, new.shape[-1]).addcmul_(scaled, B)
            torch.matmul(grouped, C, out=y)


def _one_token(project: Callable[[Tensor], Tensor], module: nn.Module) -> Callable[[Tensor], Tensor]:
    """A projection for (batch, width); what is not a linear layer may look at (batch, length, width)."""
    if isinstance(module, nn.Linear):
        return project
    return lambda x: project(x[:, None])[:, 0]


class Decoder:
    """The whole model, for one token per row."""

    def __init__(self, model: LanguageModel) -> None:
        self.embedding = model.backbone.embedding.weight
        self.layers = [DecodingLayer(cast("ResidualBlock", layer)) for layer in model.backbone.layers]
        self.norm = cast("Backbone", model.backbone).norm_f
        self.head = model.lm_head

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return nothing, ()

    @torch.no_grad()
    def step(self, tokens: Tensor, state: State, owned: bool = False) -> tuple[Tensor, State]:
        residual = self.embedding[tokens]  # (batch, d_model)
        residual = residual.to(scan_dtype(residual.dtype))
        new = tuple(layer(residual, old, owned) for layer, old in zip(self.layers, state, strict=True))
        return self.head(self.norm(residual)), new
