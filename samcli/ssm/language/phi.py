"""Phi-Mamba, the student of MOHAWK (arXiv 2408.10189): Mamba-2 without a learned A or dt, and the MLP of its teacher.

Phi's block is the published one; a student of another teacher has that teacher's norms, MLP and order. The decay of a
step is sigmoid(-A_log) straight from the input, and the input enters unscaled. B and C belong to every head (or to
groups of heads), the convolution has no activation, and there is no norm inside the mixer. The published code divides
the input by softplus(A_log) to fit a kernel; the direct form used here neither under- nor overflows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.convolution import causal_convolution
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.language.reader import RecurrentBackbone, RecurrentReader
from samcli.ssm.norms import RMSNorm
from samcli.ssm.ssd import ssd, ssd_step
from samcli.ssm.state import BlockState, empty_state, scan_dtype, valid_mask


@dataclass(frozen=True)
class PhiConfig:
    d_model: int = 2048  # width of the residual stream (D)
    n_layer: int = 24
    vocab_size: int = 51200
    d_state: int = 64  # state dimension (N)
    heads: int = 32  # value heads (H)
    qk_heads: int = 32  # heads of B and C; each serves heads / qk_heads value heads
    d_conv: int = 4  # width of the causal convolution
    expand: int = 1  # inner width over d_model (E)
    chunk_size: int | None = None  # tokens per chunk (Q); only affects rounding
    pad_vocab_size_multiple: int = 8
    norm_eps: float = 1e-5
    block: Literal["phi", "neox", "llama"] = "phi"  # MLP beside the mixer; the same with a norm of its own; after it
    norm: Literal["layer", "rms"] = "layer"
    mlp: Literal["gelu-tanh", "gelu", "gated-silu"] = "gelu-tanh"
    mlp_width: int | None = None  # None: 4 * d_model
    bias: bool = True  # of the MLP, and of a mixer that the MLP reads
    head_bias: bool = True
    tie_embeddings: bool = False

    def __post_init__(self) -> None:
        if self.d_inner % self.heads or self.heads % self.qk_heads:
            raise ValueError("the inner width must divide into heads, and heads into qk_heads")

    @property
    def d_inner(self) -> int:
        return self.expand * self.d_model

    @property
    def conv_channels(self) -> int:
        return self.d_inner + 2 * self.qk_heads * self.d_state

    @property
    def padded_vocab_size(self) -> int:
        return -(-self.vocab_size // self.pad_vocab_size_multiple) * self.pad_vocab_size_multiple


class DiscreteMamba2(nn.Module):
    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        self.config = c = config
        self.in_proj = FastLinear(c.d_model, c.conv_channels + c.d_inner + c.heads, bias=False)  # x, B, C, z, A_log
        self.conv1d = nn.Conv1d(c.conv_channels, c.conv_channels, c.d_conv, groups=c.conv_channels, bias=True)
        self.z_bias = nn.Parameter(torch.zeros(c.d_inner))
        self.D = nn.Parameter(torch.ones(c.heads))
        self.out_proj = FastLinear(c.d_inner, c.d_model, bias=c.bias and c.block == "llama")

    def initial_state(self, batch: int) -> BlockState:
        c = self.config
        return empty_state(
            self.D, (batch, c.heads, c.d_inner // c.heads, c.d_state), (batch, c.d_conv - 1, c.conv_channels)
        )

    def _operands(
        self, x: Tensor, tail: Tensor | None, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """z, then the scan's x, B, C and log decay, then the new convolution tail."""
        c = self.config
        batch, length, _ = x.shape
        xBC, z, A_log = torch.split(self.in_proj(x), [c.conv_channels, c.d_inner, c.heads], dim=-1)
        xBC, tail = causal_convolution(xBC, self.conv1d.weight, self.conv1d.bias, tail, lengths)
        dtype = scan_dtype(xBC.dtype)
        width = c.qk_heads * c.d_state
        inner, B, C = torch.split(xBC.to(dtype), [c.d_inner, width, width], dim=-1)
        inner = inner.reshape(batch, length, c.heads, -1)  # (batch, length, heads, head_dim)
        B, C = (m.reshape(batch, length, c.qk_heads, c.d_state) for m in (B, C))
        return z, inner, B, C, F.logsigmoid(-A_log.to(dtype)), tail

    def forward(
        self, x: Tensor, state: BlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, BlockState]:
        """x (batch, length, d_model), valid tokens first -> y of that shape, and the state after each row."""
        z, inner, B, C, log_decay, tail = self._operands(x, state and state.tail, lengths)
        with torch.autocast(x.device.type, enabled=False):
            D = self.D.to(inner.dtype)
            scale = None
            if lengths is not None:
                valid = valid_mask(lengths.to(x.device), x.shape[1])[..., None]  # (batch, length, 1)
                log_decay = log_decay * valid
                scale = valid.to(inner.dtype).expand(log_decay.shape)
            if x.shape[1] == 1 and state is not None:
                first = None if scale is None else scale[:, 0]
                y, ssm = ssd_step(inner[:, 0], log_decay[:, 0], B[:, 0], C[:, 0], first, D, state.ssm)
            else:
                y, ssm = ssd(inner, log_decay, B, C, scale, D, state and state.ssm, self.config.chunk_size)
            gate = F.silu((z + self.z_bias).to(y.dtype))
            y = y.reshape(gate.shape) * gate
        return self.out_proj(y.to(z.dtype)), BlockState(ssm, tail)

    def transfer_matrix(self, x: Tensor) -> Tensor:
        """(batch, heads, length, length) M with y = M x per head, before gate and output: what MOHAWK matches."""
        _, inner, B, C, log_decay, _ = self._operands(x, None, None)
        each = inner.shape[2] // B.shape[2]
        CB = torch.einsum("blgn,bmgn->bglm", C, B).repeat_interleave(each, dim=1)
        total = log_decay.cumsum(dim=1).transpose(1, 2)  # (batch, heads, length)
        L = (total[..., :, None] - total[..., None, :]).tril().exp().tril()
        return CB * L + torch.diag_embed(self.D[:, None].expand(-1, x.shape[1]))


class PhiMLP(nn.Module):
    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        self.kind, width = config.mlp, config.mlp_width or 4 * config.d_model
        if self.kind == "gated-silu":
            self.gate = FastLinear(config.d_model, width, config.bias)
        self.fc1 = FastLinear(config.d_model, width, config.bias)
        self.fc2 = FastLinear(width, config.d_model, config.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "gated-silu":
            hidden = F.silu(self.gate(x)) * self.fc1(x)
        else:
            hidden = F.gelu(self.fc1(x), approximate="tanh" if self.kind == "gelu-tanh" else "none")
        y: Tensor = self.fc2(hidden)
        return y


def build_norm(config: PhiConfig) -> nn.LayerNorm | RMSNorm:
    return (nn.LayerNorm if config.norm == "layer" else RMSNorm)(config.d_model, config.norm_eps)


class PhiBlock(nn.Module):
    """x + mixer(norm(x)) + mlp, which reads the same norm, one of its own, or one of the sum so far."""

    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        self.kind = config.block
        self.input_layernorm = build_norm(config)
        self.mixer = DiscreteMamba2(config)
        if self.kind != "phi":
            self.mlp_layernorm = build_norm(config)
        self.mlp = PhiMLP(config)

    def forward(
        self, x: Tensor, state: BlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, BlockState]:
        h = self.input_layernorm(x.to(self.input_layernorm.weight.dtype))
        y, state = self.mixer(h, state, lengths)
        mixed = x + y
        if self.kind != "phi":
            h = self.mlp_layernorm((mixed if self.kind == "llama" else x).to(h.dtype))
        return mixed + self.mlp(h), state


class PhiBackbone(RecurrentBackbone):
    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.padded_vocab_size, config.d_model)
        self.layers = nn.ModuleList(PhiBlock(config) for _ in range(config.n_layer))
        self.final_layernorm = build_norm(config)

    def last_norm(self, x: Tensor) -> Tensor:
        normed: Tensor = self.final_layernorm(x.to(self.final_layernorm.weight.dtype))
        return normed


class PhiLanguageModel(RecurrentReader):
    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = PhiBackbone(config)
        self.lm_head = FastLinear(config.d_model, config.padded_vocab_size, bias=config.head_bias)
        if config.tie_embeddings:
            self.lm_head.weight = self.backbone.embedding.weight

    @property
    def vocab_size(self) -> int:
        return self.config.vocab_size
