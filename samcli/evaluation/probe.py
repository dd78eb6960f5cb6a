"""A linear probe: how much of what people call sounds lies open in an encoder's features.

The encoder stays as it is; one linear layer learns the everyday classes of a corpus from its train clips and is judged
on its dev clips. A clip's feature is the mean over its windows and steps. How strongly the layer is held back is chosen
on every fifth train clip, for each encoder by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from samcli.audio.decode import read_sound
from samcli.evaluation.figures import interval
from samcli.models.encoders.base import Encoder
from samcli.text.labels import labels
from samcli.training.nano.corpus import Clip, Corpus

HOLDS = (1e-4, 1e-3, 1e-2, 1e-1)  # weight of the squared weights in the loss
TRIED = 5  # every so many train clips judge the hold


class Probe(NamedTuple):
    hits: NDArray[np.bool_]  # (dev clips,)
    classes: int

    @property
    def accuracy(self) -> float:
        return float(self.hits.mean())

    def spread(self) -> tuple[float, float]:
        """The ends of the accuracy's 95 % interval."""
        return interval(lambda rows: float(self.hits[rows].mean()), len(self.hits))

    def gain(self, before: Probe) -> tuple[float, float, float]:
        """How much more it gets right than another on the same clips, and the ends of the 95 % interval."""
        more = self.hits.astype(np.float64) - before.hits
        return float(more.mean()), *interval(lambda rows: float(more[rows].mean()), len(more))


def probe(
    encoders: Mapping[str, Encoder],
    corpus: Path,
    progress: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> dict[str, Probe]:
    """Top-1 accuracy over the everyday classes, of every encoder; each clip is decoded once."""
    clips = [clip for clip in Corpus.read(corpus, labels()).clips if clip.curated]
    features: dict[str, list[Tensor]] = {name: [] for name in encoders}
    for done, clip in enumerate(clips, 1):
        frames: dict[str, Tensor] = {}  # by front end, which encoders may share
        for name, encoder in encoders.items():
            front_end = encoder.front_end
            if front_end.name not in frames:
                wave = torch.from_numpy(read_sound(corpus / clip.file, front_end.sample_rate))
                frames[front_end.name] = front_end.of_wave(wave)
            features[name].append(feature(encoder, frames[front_end.name]))
        progress("hearing clips for the probe", done, len(clips))
    return {name: judge(torch.stack(found), clips) for name, found in features.items()}


def judge(features: Tensor, clips: Sequence[Clip]) -> Probe:
    """The probe on features (clips, width) that are there already."""
    names = sorted({clip.label for clip in clips})
    truth = torch.tensor([names.index(clip.label) for clip in clips])
    learns = torch.tensor([clip.split == "train" for clip in clips])
    seen, heard = features[learns], truth[learns]
    mean, spread = seen.mean(0), seen.std(0).clamp(min=1e-6)
    normal = (features - mean) / spread
    seen = normal[learns]
    trial = torch.arange(len(seen)) % TRIED == 0
    holds = [float(_hits(_learn(seen[~trial], heard[~trial], len(names), h), seen[trial], heard[trial]).mean())
             for h in HOLDS]  # fmt: skip
    layer = _learn(seen, heard, len(names), HOLDS[int(np.argmax(holds))])
    return Probe(_hits(layer, normal[~learns], truth[~learns]), len(names))


@torch.no_grad()
def feature(encoder: Encoder, mel: Tensor) -> Tensor:
    """The mean of the encoder's features over frames (frames, bins) of any number, float32."""
    windows = torch.split(mel, encoder.window_frames)
    encoding = encoder(pad_sequence(list(windows), batch_first=True), torch.tensor([len(part) for part in windows]))
    valid = torch.arange(encoding.features.shape[1]) < encoding.lengths[:, None]
    mean: Tensor = encoding.features[valid].float().mean(0)
    return mean


def _learn(features: Tensor, truth: Tensor, classes: int, hold: float) -> tuple[Tensor, Tensor]:
    """Weights and biases of the layer: a convex problem, solved to its end."""
    weights = torch.zeros(classes, features.shape[1], requires_grad=True)
    biases = torch.zeros(classes, requires_grad=True)
    solver = torch.optim.LBFGS([weights, biases], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(F.linear(features, weights, biases), truth) + hold * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach(), biases.detach()


def _hits(layer: tuple[Tensor, Tensor], features: Tensor, truth: Tensor) -> NDArray[np.bool_]:
    return (F.linear(features, *layer).argmax(1) == truth).numpy()
