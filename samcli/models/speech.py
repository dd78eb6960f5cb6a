"""Samba-ASR (arXiv 2501.02832): a Mamba encoder hears, a Mamba decoder reads what was written so far.

    log-mel frames -> stem, 4 frames a step -> Mamba-2 blocks  -> heard  (steps)
    symbols        -> embedding             -> Mamba-2 blocks  -> read   (symbols)
    scores of the next symbol, or of none = out(tanh(of_heard(heard) + of_read(read)))

The paper connects its two sides without attention and leaves the sizes, the tokenizer and the order of reading open.
Here the connection is that of a transducer (arXiv 1211.3711): at every step the model writes symbols until it would
rather hear on. Nothing looks ahead, so sound of any length is a fold over its pieces with a carried state.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.audio.fbank import FRAME, HOP, MELS, SAMPLE_RATE, FilterBank
from samcli.audio.waves import Wave, regroup
from samcli.records import Word
from samcli.ssm.fast.linear import FastLinear
from samcli.ssm.language.blocks import Backbone, LanguageConfig, ResidualBlock
from samcli.ssm.norms import RMSNorm
from samcli.ssm.state import BlockState, State, scan_dtype

STACK = 4  # frames a step
STEP_SECONDS = STACK * HOP / SAMPLE_RATE  # 40 ms
TAIL_STEPS = 8  # of silence behind a recording, in which its last word can still be written
NOTHING = 0  # the symbol that stands for hearing on, and for the beginning before anything is written
STRETCH = 64  # steps that are heard at once, however the sound comes
MOST_AT_ONCE = 8  # symbols written at one step; nobody speaks quicker


@dataclass(frozen=True)
class SpeechConfig:
    symbols: str  # what is written, one character each; a space parts words
    d_model: int = 512  # width of both residual streams (D)
    encoder_layers: int = 16
    decoder_layers: int = 2
    d_state: int = 128  # state dimension (N)
    headdim: int = 64  # channels that share one decay (P)
    joint: int = 512  # width where both sides meet
    delay: int = 4  # steps from where a symbol is heard to where it is written
    mel_mean: float = -6.0  # of speech in [-1, 1]
    mel_scale: float = 4.0

    def __post_init__(self) -> None:
        if len(set(self.symbols)) != len(self.symbols) or not self.symbols:
            raise ValueError("the symbols must be there and differ")

    @property
    def classes(self) -> int:
        """The symbols and nothing."""
        return 1 + len(self.symbols)

    def blocks(self, layers: int) -> LanguageConfig:
        return LanguageConfig(
            d_model=self.d_model, n_layer=layers, vocab_size=self.classes, d_state=self.d_state, headdim=self.headdim,
            pad_vocab_size_multiple=1,
        )  # fmt: skip


# The paper gives no sizes; `large` has about the parameters of the transformers that it is measured against.
TINY = SpeechConfig(" ", d_model=96, encoder_layers=3, decoder_layers=1, d_state=32, headdim=32, joint=96)
SIZES = {
    "tiny": TINY,
    "small": replace(TINY, d_model=256, encoder_layers=8, d_state=64, headdim=64, joint=256),
    "base": SpeechConfig(" "),
    "large": SpeechConfig(" ", d_model=1024, encoder_layers=32, decoder_layers=8, joint=640),
}


class SpeechNetwork(nn.Module):
    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        self.config = c = config
        width = c.d_model
        self.stem = nn.ModuleList([FastLinear(2 * MELS, width), FastLinear(2 * width, width)])
        self.layers = nn.ModuleList(ResidualBlock(c.blocks(c.encoder_layers)) for _ in range(c.encoder_layers))
        self.norm = RMSNorm(width)
        self.decoder = Backbone(c.blocks(c.decoder_layers))
        self.of_heard = FastLinear(width, c.joint)
        self.of_read = FastLinear(width, c.joint, bias=False)
        self.out = FastLinear(c.joint, c.classes)
        self.alone = FastLinear(width, c.classes)  # symbols by hearing alone: it helps the encoder to learn
        for layers in (self.layers, self.decoder.layers):  # all of them add to one stream
            for layer in layers:
                cast(ResidualBlock, layer).mixer.out_proj.weight.data /= math.sqrt(len(layers))

    def hear(self, frames: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """(batch, 4 * steps, mels), of which `lengths` (batch,) steps are real -> (batch, steps, d_model)."""
        x = (frames - self.config.mel_mean) / self.config.mel_scale
        for pair in self.stem:  # convolutions two frames wide that move by two
            x = F.silu(pair(x.reshape(x.shape[0], -1, 2 * x.shape[2])))
        residual = x.to(scan_dtype(x.dtype))
        states: list[BlockState] = []
        for number, layer in enumerate(self.layers):
            residual, new = layer(residual, None if state is None else state[number], lengths)
            states.append(new)
        return self.norm(residual), tuple(states)

    def read(self, symbols: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(batch, length) written symbols -> (batch, length, joint): what each of them lets expect."""
        hidden, state = self.decoder(self.decoder.embedding(symbols), state)
        return self.of_read(hidden), state

    def scores(self, heard: Tensor, read: Tensor) -> Tensor:
        """Of every symbol, for what was heard (..., d_model) and what was read (..., joint), brought together."""
        return self.out(torch.tanh(self.of_heard(heard) + read))  # type: ignore[no-any-return]


class Written(NamedTuple):
    """A symbol and the step at which it was written."""

    symbol: str
    step: int


class Hearing(NamedTuple):
    """All that is remembered of a recording; its size does not depend on how much was heard."""

    encoder: State | None = None
    decoder: State | None = None
    read: Tensor | None = None  # (1, 1, joint)  what the last symbol lets expect
    steps: int = 0


class Recogniser:
    """A network that writes, symbol by symbol, what it likes best."""

    def __init__(self, network: SpeechNetwork, name: str = "", revision: str = "") -> None:
        self.network, self.name, self.revision = network.eval(), name, revision
        self.symbols = network.config.symbols
        self.device = network.out.weight.device

    @torch.no_grad()
    def hear(self, frames: Tensor, state: Hearing) -> tuple[list[Written], Hearing]:
        """What (4 * steps, mels) frames add to what was written, and the state behind them."""
        network = self.network
        heard, encoder = network.hear(frames[None].to(self.device), state.encoder)
        decoder, read = state.decoder, state.read
        if read is None:
            read, decoder = self._read(NOTHING, None)
        written: list[Written] = []
        at = count = 0  # symbols written at step `at`
        while at < heard.shape[1]:
            best = network.scores(heard[0, at:], read[0]).argmax(-1)
            first = int((best != NOTHING).int().argmax())
            if best[first] == NOTHING:
                break  # nothing up to the end
            if first or count == MOST_AT_ONCE:
                at, count = at + (first or 1), 0
                if not first:
                    continue
            written.append(Written(self.symbols[int(best[first]) - 1], state.steps + at))
            read, decoder = self._read(int(best[first]), decoder)
            count += 1
        return written, Hearing(encoder, decoder, read, state.steps + heard.shape[1])

    def _read(self, symbol: int, state: State | None) -> tuple[Tensor, State]:
        return self.network.read(torch.tensor([[symbol]], device=self.device), state)

    def written(self, blocks: Iterable[Wave]) -> Iterator[list[Written]]:
        """What is written of waves (samples,) at 16 kHz, stretch by stretch: the same however they were cut."""
        state = Hearing()
        for frames in _stretches(blocks):
            some, state = self.hear(frames, state)
            yield some

    def words(self, blocks: Iterable[Wave]) -> Iterator[list[Word]]:
        """Whole words as soon as they are, stretch by stretch."""
        speller = Speller(self.network.config.delay)
        for some in self.written(blocks):
            yield speller.push(some)
        yield speller.finish()


class Speller:
    """Symbols to words."""

    def __init__(self, delay: int) -> None:
        self._delay = delay
        self._begun: list[Written] = []

    def push(self, written: Iterable[Written]) -> list[Word]:
        words = []
        for one in written:
            if one.symbol != " ":
                self._begun.append(one)
            elif self._begun:
                words += self.finish()
        return words

    def finish(self) -> list[Word]:
        begun, self._begun = self._begun, []
        if not begun:
            return []
        start, end = self._seconds(begun[0].step), self._seconds(begun[-1].step + 1)
        return [Word("".join(one.symbol for one in begun), start, max(end, start + STEP_SECONDS))]

    def _seconds(self, step: int) -> float:
        return round(max(0, step - self._delay) * STEP_SECONDS, 3)


def _stretches(blocks: Iterable[Wave]) -> Iterator[Tensor]:
    """Frames of a recording in stretches that depend on its samples alone, with silence behind them."""
    silence = np.zeros(TAIL_STEPS * STACK * HOP + FRAME, np.float32)  # the last sound's frames are whole before it
    bank, held = FilterBank(), torch.zeros(0, MELS)
    for wave in regroup(chain(blocks, [silence]), STRETCH * STACK * HOP):
        held = torch.cat([held, bank.push(torch.from_numpy(wave))])
        whole = len(held) // STACK * STACK
        if whole:
            yield held[:whole]
        held = held[whole:]
