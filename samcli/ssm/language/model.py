"""A language model of recurrent blocks: embedding, pre-norm residual blocks, final norm, tied head.

Parameter names are those of state-spaces/mamba (`backbone.embedding.weight`, `backbone.layers.N.mixer...`). The
residual stream stays in float32 (float64 in a float64 model) whatever the weights are. Memory does not grow with
the length when the caller feeds pieces and carries the state, which is what `prefill` does.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn

from samcli.ssm.fast.decoding import Decoder
from samcli.ssm.fast.graphs import CardDecoder
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.language.blocks import Backbone, LanguageConfig, ResidualBlock
from samcli.ssm.language.reader import RecurrentReader
from samcli.ssm.mamba2 import Mamba2


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

    def make_decoder(self) -> Decoder | CardDecoder | None:
        mixers = [layer.mixer for layer in self.backbone.layers]
        if not all(type(mixer) is Mamba2 for mixer in mixers):  # a subclass may compute something else
            return None
        if self.lm_head.weight.is_cuda:
            return CardDecoder(self)
        return Decoder(cast(Backbone, self.backbone), self.lm_head)
