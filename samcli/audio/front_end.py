"""From waves to the frames that an encoder reads: at which rate, how many of them, how many bands in each.

Every encoder has one front end, and whoever feeds an encoder asks it rather than knowing rates and hops by heart.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from samcli.audio import mel32
from samcli.audio.fbank import FLOOR, FRAME, HOP, MELS, FilterBank, log_mel
from samcli.audio.waves import SAMPLE_RATE


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
    def log_power(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples), zero behind `lengths`, to log band powers (batch, frames, bands) and each row's frames.

        As they were recorded: sounds are mixed on these.
        """

    @abstractmethod
    def read(self, log_power: Tensor) -> Tensor:
        """What an encoder reads of the log powers of windows."""

    def features(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What an encoder reads of waves, and the valid frames of each row."""
        log_power, frames = self.log_power(waves, lengths)
        return self.read(log_power), frames

    def of_wave(self, wave: Tensor) -> Tensor:
        """All frames of one wave (samples,): (frames, bands)."""
        return self.features(wave[None], torch.tensor([len(wave)]))[0][0]

    def stream(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Log band powers of a wave that comes in blocks; here it is gathered first."""
        wave = torch.cat([torch.zeros(0), *blocks])
        yield self.log_power(wave[None], torch.tensor([len(wave)]))[0][0]


class KaldiFrontEnd(FrontEnd):
    """Kaldi's log-mel filter bank at 16 kHz, which the published AudioSet models read."""

    name, sample_rate, hop, bands = "kaldi-16k", SAMPLE_RATE, HOP, MELS

    def counts(self, lengths: Tensor) -> Tensor:
        return 1 + (lengths.clamp(min=FRAME) - FRAME) // HOP

    def log_power(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """A wave shorter than one frame is one frame with silence behind it."""
        return log_mel(F.pad(waves, (0, max(0, FRAME - waves.shape[1])))), self.counts(lengths)

    def read(self, log_power: Tensor) -> Tensor:
        return log_power.clamp(min=math.log(FLOOR))

    def stream(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        bank, samples = FilterBank(), 0
        for block in blocks:
            samples += len(block)
            yield bank.push(block)
        if samples < FRAME:
            yield bank.push(torch.zeros(FRAME - samples))


class EvenFrontEnd(FrontEnd):
    """Log-mel bands up to 15 kHz of 32 kHz sound, every window brought to one level: sam-nano's."""

    name, sample_rate, hop, bands = "even-32k", mel32.SAMPLE_RATE, mel32.HOP, mel32.MELS

    def counts(self, lengths: Tensor) -> Tensor:
        return mel32.frame_counts(lengths.clamp(min=1))

    def log_power(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        lengths = lengths.clamp(min=1)
        power = mel32.mel_power(F.pad(waves.float(), (0, max(0, 2 - waves.shape[1]))), lengths)
        return (power + mel32.LEAST).log_(), self.counts(lengths)

    def read(self, log_power: Tensor) -> Tensor:
        return mel32.normalised(mel32.levelled(log_power.exp()))

    def features(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        lengths = lengths.clamp(min=1)
        power = mel32.mel_power(F.pad(waves.float(), (0, max(0, 2 - waves.shape[1]))), lengths)
        return mel32.normalised(mel32.levelled(power)), self.counts(lengths)


KALDI = KaldiFrontEnd()
EVEN_32K = EvenFrontEnd()
