"""What a language model of recurrent blocks is made of: its sizes, one residual block, and all of them in a row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from samcli.ssm.convolution import GatedConvolution, GatedConvolutionConfig
from samcli.ssm.language.reader import RecurrentBackbone
from samcli.ssm.mamba import Mamba, MambaConfig
from samcli.ssm.mamba2 import Mamba2, Mamba2Config
from samcli.ssm.mamba3 import Mamba3, Mamba3Config
from samcli.ssm.norms import RMSNorm
from samcli.ssm.state import BlockState

Mixer = Mamba3 | Mamba2 | Mamba | GatedConvolution


@dataclass(frozen=True)
class LanguageConfig:
    d_model: int = 768  # width of the residual stream (D)
    n_layer: int = 24
    vocab_size: int = 50277  # real tokens; ids above are padding and never spoken
    d_state: int = 128  # state dimension (N); 16 is usual for "mamba"
    d_conv: int = 4  # width of the causal convolution
    expand: int = 2  # inner width over d_model (E)
    headdim: int = 64  # mamba2 and mamba3: channels per head (P)
    ngroups: int = 1  # mamba2 and mamba3: groups of heads sharing B and C (G)
    chunk_size: int | None = None  # tokens per chunk (Q); None chooses by length, and it only affects rounding
    pad_vocab_size_multiple: int = 16  # rows of the embedding are rounded up to this
    tie_embeddings: bool = True
    norm_eps: float = 1e-5
    layer: str = "mamba2"  # "mamba3", "mamba2", "mamba", or "convolution": the control without a scan
    dt_rank: int | None = None  # mamba: bottleneck before dt (R); None: d_model / 16
    inner_norm_eps: float | None = None  # mamba: dt, B and C are normed (Falcon-Mamba); None: they are not
    bias: bool = False  # mamba and mamba2: of the first and the last projection
    conv_bias: bool = True  # mamba and mamba2: of the convolution
    turned: float = 0.5  # mamba3: share of the state that angles turn

    @property
    def padded_vocab_size(self) -> int:
        return math.ceil(self.vocab_size / self.pad_vocab_size_multiple) * self.pad_vocab_size_multiple


def build_mixer(config: LanguageConfig) -> Mixer:
    c = config
    heads = c.d_model, c.d_state, c.expand, c.headdim, c.ngroups, c.chunk_size
    if c.layer == "mamba2":
        return Mamba2(Mamba2Config(*heads, c.d_conv, c.norm_eps, c.bias, c.conv_bias))
    if c.layer == "mamba3":
        return Mamba3(Mamba3Config(*heads, c.turned))
    if c.layer == "mamba":
        sizes = c.d_model, c.d_state, c.d_conv, c.expand, c.dt_rank
        return Mamba(MambaConfig(*sizes, c.bias, c.conv_bias, c.inner_norm_eps))
    if c.layer == "convolution":
        return GatedConvolution(GatedConvolutionConfig(c.d_model, c.d_conv, c.expand))
    raise ValueError(f"'{c.layer}' is not a kind of layer; the kinds are mamba3, mamba2, mamba and convolution")


class ResidualBlock(nn.Module):
    """residual + mixer(norm(residual)), the sum in the residual's own precision."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.mixer = build_mixer(config)

    def forward(
        self, residual: Tensor, state: BlockState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, BlockState]:
        y, state = self.mixer(self.norm(residual), state, lengths)
        return residual + y, cast(BlockState, state)


class Backbone(RecurrentBackbone):
    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.padded_vocab_size, config.d_model)
        self.layers = nn.ModuleList(ResidualBlock(config) for _ in range(config.n_layer))
        self.norm_f = RMSNorm(config.d_model, config.norm_eps)

    def last_norm(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.norm_f(x))
