"""A language model of recurrent blocks: embedding, pre-norm residual blocks, final norm, tied head.

Parameter names are those of state-spaces/mamba (`backbone.embedding.weight`, `backbone.layers.N.mixer...`). The
residual stream stays in float32 (float64 in a float64 model) whatever the weights are. Memory does not grow with
the length when the caller feeds pieces and carries the state, which is what `prefill` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from samcli.ssm.fast.cuda_graph import GraphDecoder
from samcli.ssm.fast.decoding import Decoder
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.gated import GatedConvolution, GatedConvolutionConfig
from samcli.ssm.language.reader import RecurrentBackbone, RecurrentReader
from samcli.ssm.mamba import Mamba, MambaConfig
from samcli.ssm.mamba2 import Mamba2, Mamba2Config
from samcli.ssm.norms import RMSNorm
from samcli.ssm.state import BlockState, State, scan_dtype

Mixer = Mamba2 | Mamba | GatedConvolution


@dataclass(frozen=True)
class LanguageConfig:
    d_model: int = 768  # width of the residual stream (D)
    n_layer: int = 24
    vocab_size: int = 50277  # real tokens; ids above are padding and never spoken
    d_state: int = 128  # state dimension (N); 16 is usual for "mamba"
    d_conv: int = 4  # width of the causal convolution
    expand: int = 2  # inner width over d_model (E)
    headdim: int = 64  # mamba2: channels per head (P)
    ngroups: int = 1  # mamba2: groups of heads sharing B and C (G)
    chunk_size: int | None = None  # tokens per chunk (Q); None chooses by length, and it only affects rounding
    pad_vocab_size_multiple: int = 16  # rows of the embedding are rounded up to this
    tie_embeddings: bool = True
    norm_eps: float = 1e-5
    layer: str = "mamba2"  # "mamba2", "mamba", or "convolution": the control without a scan
    dt_rank: int | None = None  # mamba: bottleneck before dt (R); None: d_model / 16

    @property
    def padded_vocab_size(self) -> int:
        return math.ceil(self.vocab_size / self.pad_vocab_size_multiple) * self.pad_vocab_size_multiple


def build_mixer(config: LanguageConfig) -> Mixer:
    c = config
    if c.layer == "mamba2":
        return Mamba2(
            Mamba2Config(
                d_model=c.d_model,
                d_state=c.d_state,
                d_conv=c.d_conv,
                expand=c.expand,
                headdim=c.headdim,
                ngroups=c.ngroups,
                chunk_size=c.chunk_size,
                norm_eps=c.norm_eps,
            )
        )
    if c.layer == "mamba":
        return Mamba(MambaConfig(c.d_model, c.d_state, c.d_conv, c.expand, c.dt_rank))
    if c.layer == "convolution":
        return GatedConvolution(GatedConvolutionConfig(c.d_model, c.d_conv, c.expand))
    raise ValueError(f"'{c.layer}' is not a kind of layer; the kinds are mamba2, mamba and convolution")


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

    def forward(
        self, embeddings: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """(batch, length, d_model) normed hidden states and the state after each row's last valid token."""
        residual = embeddings.to(scan_dtype(embeddings.dtype))
        states: list[BlockState] = []
        for i, layer in enumerate(self.layers):
            residual, new = layer(residual, None if state is None else state[i], lengths)
            states.append(new)
        return self.norm_f(residual), tuple(states)


class LanguageModel(RecurrentReader):
    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.lm_head = FastLinear(config.d_model, config.padded_vocab_size, bias=False)
        self.reset_parameters()
        if config.tie_embeddings:
            self.lm_head.weight = self.backbone.embedding.weight

    def reset_parameters(self) -> None:
        nn.init.normal_(self.backbone.embedding.weight, std=0.02)
        for layer in self.backbone.layers:
            # every layer adds to one stream: without this the stream's variance grows with the depth
            with torch.no_grad():
                cast(ResidualBlock, layer).mixer.out_proj.weight /= math.sqrt(self.config.n_layer)

    @property
    def vocab_size(self) -> int:
        return self.config.vocab_size

    def make_decoder(self) -> Decoder | GraphDecoder | None:
        mixers = [layer.mixer for layer in self.backbone.layers]
        if not all(type(mixer) is Mamba2 for mixer in mixers):  # a subclass may compute something else
            return None
        return GraphDecoder(self) if self.lm_head.weight.is_cuda else Decoder(self)
