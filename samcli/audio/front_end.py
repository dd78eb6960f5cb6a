"""From waves to the frames that an encoder reads: at which rate, how many of them, how many bands in each.

Every encoder has one front end, and whoever feeds an encoder asks it rather than knowing rates and hops by heart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.audio.fbank import FRAME, HOP, MELS, FilterBank, log_mel
from samcli.audio.resample import SAMPLE_RATE


class FrontEnd(ABC):
    """Frames lie `hop` samples apart; no wave is too short to have one."""

    name: str  # stored frames are used again only under the same name
    sample_rate: int
    hop: int  # samples from frame to frame
    bands: int  # values of one frame

    @property
    def frames_per_second(self) -> float:
        return self.sample_rate / self.hop

    @abstractmethod
    def counts(self, lengths: Tensor) -> Tensor:
        """Frames of waves with so many samples, at least one each."""

    @abstractmethod
    def features(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples), zero behind `lengths`, to (batch, frames, bands) and the valid frames of each row."""

    def of_wave(self, wave: Tensor) -> Tensor:
        """All frames of one wave (samples,): (frames, bands)."""
        return self.features(wave[None], torch.tensor([len(wave)]))[0][0]

    def stream(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same frames from a wave that comes in blocks; here it is gathered first."""
        yield self.of_wave(torch.cat([torch.zeros(0), *blocks]))


class KaldiFrontEnd(FrontEnd):
    """Kaldi's log-mel filter bank at 16 kHz, which the published AudioSet models and sam-nano read."""

    name, sample_rate, hop, bands = "kaldi-16k", SAMPLE_RATE, HOP, MELS

    def counts(self, lengths: Tensor) -> Tensor:
        return 1 + (lengths.clamp(min=FRAME) - FRAME) // HOP

    def features(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """A wave shorter than one frame is one frame with silence behind it."""
        return log_mel(F.pad(waves, (0, max(0, FRAME - waves.shape[1])))), self.counts(lengths)

    def stream(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        bank, samples = FilterBank(), 0
        for block in blocks:
            samples += len(block)
            yield bank.push(block)
        if samples < FRAME:
            yield bank.push(torch.zeros(FRAME - samples))


KALDI = KaldiFrontEnd()
