"""What every published encoder shares: its front end's statistics, and how rows of unequal length are read.

An encoder takes raw log-mel energies and the number of valid frames of each row. The published models were trained on
spectrograms padded with zeros (before normalising) to a fixed length, so a shorter row is padded to that length and a
longer one to a whole number of steps. Rows of unequal padded length are read apart: none depends on its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samcli.models.interface import Encoding


@dataclass(frozen=True)
class FrontEnd:
    """How a model wants the filter bank: (energies - mean) / scale, padded to `frames`.

    AudioSet's statistics come in three versions: DASS and SSAMBA's, EAT's (rounded), both dividing by two deviations,
    and CAV-MAE's (-5.081, one deviation of 4.4849). Each config carries its model's own.
    """

    mean: float = -4.2677393  # of AudioSet's log-mel energies
    scale: float = 2 * 4.5689974  # two standard deviations, as AST's family divides
    frames: int = 1024  # 10.24 s: the length it was trained on


class Reading(NamedTuple):
    """Rows of one length, as the network itself returns them."""

    features: Tensor  # (batch, steps, bands * width): one token per time step, its bands side by side
    clip_logits: Tensor | None  # (batch, classes)
    step_logits: Tensor | None  # (batch, steps, classes)


class Encoder(nn.Module):
    """Base of the encoders: they implement `read` on normalised frames; `forward` does the rest."""

    width: int  # channels of one band of one step
    bands: int  # frequency bands of one step
    step_frames: int  # frames of one time step
    classes: int  # 0: no tag head
    scores_steps: bool = False  # whether the head also scores each time step
    front: FrontEnd

    def read(self, frames: Tensor) -> Reading:
        """Normalised (batch, frames, mel bins), all rows complete."""
        raise NotImplementedError

    def grid(self) -> tuple[int, int]:
        """Time steps and bands of a full window."""
        return self.steps(self.front.frames), self.bands

    def steps(self, frames: int) -> int:
        """Time steps that `read` makes of this many frames."""
        return frames // self.step_frames

    def padded_frames(self, frames: Tensor) -> Tensor:
        """The length each row is read at."""
        return (-(-frames // self.step_frames) * self.step_frames).clamp(min=self.front.frames)

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> Encoding:
        """Raw log-mel (batch, frames, mel bins); `frames` (batch,) counts each row's valid ones (None: all)."""
        if frames is None:
            frames = torch.full((len(mel),), mel.shape[1], device=mel.device)
        padded = self.padded_frames(frames)
        most = torch.tensor([self.steps(size) for size in padded.tolist()], dtype=torch.long).to(frames.device)
        lengths = torch.minimum(-(-frames // self.step_frames), most)
        steps = int(lengths.max()) if len(lengths) else 0
        # the usual batch has one padded length; others are read apart, row by row of one length
        sizes = sorted(set(padded.tolist()))
        groups = [(padded == size).nonzero()[:, 0] for size in sizes]
        readings = [self.read(self._rows(mel[r], frames[r], size)) for r, size in zip(groups, sizes, strict=True)]
        order = torch.cat(groups).argsort()

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
            lengths,
            None if clip_logits is None else clip_logits.float(),
            None if step_logits is None else step_logits.float(),
        )

    def _rows(self, mel: Tensor, frames: Tensor, size: int) -> Tensor:
        """Cut or pad to `size`, silence what lies behind each row's end as the trainers did, normalise."""
        mel = F.pad(mel, (0, 0, 0, max(0, size - mel.shape[1])))[:, :size]
        behind = torch.arange(size, device=mel.device) >= frames[:, None]  # (batch, size)
        normal = (mel.masked_fill(behind[..., None], 0.0) - self.front.mean) / self.front.scale
        return normal.to(next(self.parameters()).dtype)
