"""From frames that come to symbols with their times, and from symbols to words: everything between is a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samcli.audio.fbank import FRAME, HOP, MELS, FilterBank
from samcli.audio.waves import Wave, regroup
from samcli.models.speech.network import NOTHING, STACK, STEP_SECONDS, TAIL_STEPS, SpeechNetwork
from samcli.records import Word
from samcli.ssm.state import State

STRETCH = 64  # steps that are heard at once, however the sound comes
MOST_AT_ONCE = 8  # symbols written at one step; nobody speaks quicker


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
