"""What every encoder is: waves to frames by its own front end, frames to an encoding, and a tag head or none.

A published encoder was trained on spectrograms padded with zeros (before normalising) to a fixed length, so a shorter
row is padded to that length and a longer one to a whole number of steps. Rows of unequal padded length are read apart:
none depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samcli.audio.front_end import KALDI, FrontEnd
from samcli.models.interface import Encoding
from samcli.models.layouts import Layout, Shapes


class Encoder(nn.Module):
    """Base of all encoders: `features` makes frames of waves, `forward` an encoding of frames."""

    front_end: FrontEnd = KALDI
    head_parts: ClassVar[tuple[str, ...]] = ("head",)  # modules that come and go with the classes
    keeps_head: ClassVar[bool] = False  # whether it is nothing without its head
    judges_features: ClassVar[bool] = False  # whether `judge` says what the head makes of features heard before

    config: Any  # a frozen dataclass with `classes`
    width: int  # channels of one band of one step
    bands: int  # frequency bands of one step
    step_frames: int  # frames of one time step
    window_frames: int  # what it reads at once when it stands alone
    classes: int  # 0: no tag head
    scores_steps: bool = False  # whether the head also scores each time step

    @property
    def sample_rate(self) -> int:
        return self.front_end.sample_rate

    @property
    def step_seconds(self) -> float | None:
        """Of one row of `step_logits`; None where the head has no time axis."""
        return self.step_frames * self.front_end.hop / self.sample_rate if self.scores_steps else None

    def steps(self, frames: int) -> int:
        """Time steps made of this many frames."""
        return frames // self.step_frames

    def grid(self) -> tuple[int, int]:
        """Time steps and bands of a full window."""
        return self.steps(self.window_frames), self.bands

    def features(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples) at `sample_rate`, zero behind `lengths`, to frames and the valid ones of each row."""
        return self.front_end.features(waves, lengths)

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> Encoding:
        """(batch, frames, bands) as `features` gives them; `frames` (batch,) counts each row's (None: all)."""
        raise NotImplementedError

    def judge(self, x: Tensor, pooled: Tensor | None, lengths: Tensor | None = None) -> Encoding:
        """What the head says of features (batch, steps, width) and of what is pooled beside them, heard before."""
        raise NotImplementedError

    def lay_out(self) -> None:
        """Bring the weights into the order in memory that a processor reads fastest."""


class Reading(NamedTuple):
    """Rows of one length, as the network itself returns them."""

    features: Tensor  # (batch, steps, bands * width): one token per time step, its bands side by side
    clip_logits: Tensor | None  # (batch, classes)
    step_logits: Tensor | None  # (batch, steps, classes)


class PaddingEncoder(Encoder):
    """Base of the published encoders: they implement `read` on normalised frames; `forward` does the rest.

    AudioSet's statistics come in three versions: DASS and SSAMBA's, EAT's (rounded), both dividing by two deviations,
    and CAV-MAE's (-5.081, one deviation of 4.4849). Each config carries its model's own.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.classes, self.window_frames = config.classes, config.window_frames

    def read(self, frames: Tensor) -> Reading:
        """Normalised (batch, frames, mel bins), all rows complete."""
        raise NotImplementedError

    def padded_frames(self, frames: Tensor) -> Tensor:
        """The length each row is read at."""
        return (-(-frames // self.step_frames) * self.step_frames).clamp(min=self.window_frames)

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> Encoding:
        # all sizes are worked out on the processor: a card is asked at most once
        frames = torch.full((len(mel),), mel.shape[1]) if frames is None else frames.cpu()
        padded = self.padded_frames(frames)
        most = torch.tensor([self.steps(size) for size in padded.tolist()], dtype=torch.long)
        lengths = torch.minimum(-(-frames // self.step_frames), most)
        steps = int(lengths.max()) if len(lengths) else 0
        # the usual batch has one padded length; others are read apart, row by row of one length
        sizes = sorted(set(padded.tolist()))
        groups = [(padded == size).nonzero()[:, 0] for size in sizes]
        there = mel.device
        readings = [
            self.read(self._rows(mel[rows.to(there)], frames[rows].to(there), size))
            for rows, size in zip(groups, sizes, strict=True)
        ]
        order = torch.cat(groups).argsort().to(there)

        def together(parts: list[Tensor | None], cut: bool) -> Tensor | None:
            found = [part for part in parts if part is not None]
            if cut:
                found = [F.pad(part[:, :steps], (0, 0, 0, max(0, steps - part.shape[1]))) for part in found]
            return torch.cat(found)[order] if found else None

        features = together([reading.features for reading in readings], cut=True)
        clip_logits = together([reading.clip_logits for reading in readings], cut=False)
        step_logits = together([reading.step_logits for reading in readings], cut=True)
        return Encoding(
            cast(Tensor, features),
            lengths.to(there),
            None if clip_logits is None else clip_logits.float(),
            None if step_logits is None else step_logits.float(),
        )

    def _rows(self, mel: Tensor, frames: Tensor, size: int) -> Tensor:
        """Cut or pad to `size`, silence what lies behind each row's end as the trainers did, normalise."""
        mel = F.pad(mel, (0, 0, 0, max(0, size - mel.shape[1])))[:, :size]
        behind = torch.arange(size, device=mel.device) >= frames[:, None]  # (batch, size)
        normal: Tensor = (mel.masked_fill(behind[..., None], 0.0) - self.config.mel_mean) / self.config.mel_scale
        return normal.to(next(self.parameters()).dtype)


@dataclass(frozen=True)
class Published:
    """How to read the weights that an encoder's authors released."""

    layout: Layout
    config: Callable[[Shapes, Mapping[str, Any]], Any]  # from the tensors' shapes under our names, and the Hub's json


@dataclass(frozen=True)
class EncoderKind:
    """All that the house must know of one kind of encoder: a row of the registry."""

    name: str  # the model_type in config.json
    config: type[Any]
    encoder: type[Encoder]
    block: type[nn.Module]  # what is computed again on the way back when memory is short
    sizes: Mapping[str, Any] = field(default_factory=dict)  # configs by the names people know
    published: Published | None = None
