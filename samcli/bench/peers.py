"""Speeds of taggers people use today, on our clips: the same files, the usual PyTorch path, random weights.

Weights do not change the speed, and none need be fetched. Both decode with our reader, so what differs is the front
end and the network. MobileNet mn04 is EfficientAT's small AudioSet tagger (MobileNetV3-large at width 0.4, arXiv
2211.04772); AST is the Audio Spectrogram Transformer as `transformers` builds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from samcli.audio.decode import read_sound

T = TypeVar("T")
MOBILE_RATE, AST_RATE = 32_000, 16_000
ROUNDS = 2  # as many as our own runs
# (expand, out, kernel, stride, squeeze width, hard-swish?) of each inverted residual after a stem of 8 channels
BLOCKS = (
    (8, 8, 3, 1, 0, False), (24, 16, 3, 2, 0, False), (32, 16, 3, 1, 0, False),
    (32, 16, 5, 2, 8, False), (48, 16, 5, 1, 16, False), (48, 16, 5, 1, 16, False),
    (96, 32, 3, 2, 0, True), (80, 32, 3, 1, 0, True), (72, 32, 3, 1, 0, True), (72, 32, 3, 1, 0, True),
    (192, 48, 3, 1, 48, True), (272, 48, 3, 1, 72, True),
    (272, 64, 5, 2, 72, True), (384, 64, 5, 1, 96, True), (384, 64, 5, 1, 96, True),
)  # fmt: skip


def convolution(inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inside, outside, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outside, eps=1e-3))


class SqueezeExcite(nn.Module):
    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, squeezed), nn.Linear(squeezed, width)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.up(self.down(x.mean((2, 3))).relu()).sigmoid()  # (batch, width)
        excited: Tensor = x * gate[:, :, None, None]
        return excited


class Residual(nn.Module):
    def __init__(self, inside: int, expand: int, out: int, kernel: int, stride: int, squeeze: int, hard: bool) -> None:
        super().__init__()
        swish: type[nn.Module] = nn.Hardswish if hard else nn.ReLU
        layers = [convolution(inside, expand), swish()] if expand != inside else []
        layers += [convolution(expand, expand, kernel, stride, expand), swish()]
        layers += [SqueezeExcite(expand, squeeze)] if squeeze else []
        self.layers = nn.Sequential(*layers, convolution(expand, out))
        self.same = stride == 1 and inside == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.same else y


class MobileNet(nn.Module):
    """mn04: from waves at 32 kHz to 527 logits."""

    def __init__(self) -> None:
        super().__init__()
        widths = [8, *(block[1] for block in BLOCKS)]
        blocks = [Residual(inside, *block) for inside, block in zip(widths, BLOCKS, strict=False)]
        stem = [convolution(1, 8, 3, 2), nn.Hardswish()]
        self.features = nn.Sequential(*stem, *blocks, convolution(64, 384), nn.Hardswish())
        self.head = nn.Sequential(nn.Linear(384, 512), nn.Hardswish(), nn.Linear(512, 527))
        self.register_buffer("window", torch.hann_window(800, periodic=False))
        self.register_buffer("filters", mel_filters())
        self.window: Tensor
        self.filters: Tensor

    def forward(self, waves: Tensor) -> Tensor:
        emphasised = waves[:, 1:] - 0.97 * waves[:, :-1]
        spectrum = torch.stft(emphasised, 1024, 320, 800, self.window, center=True, return_complex=True)
        power = torch.view_as_real(spectrum).square().sum(-1)  # (batch, bins, frames)
        mel = (self.filters @ power + 1e-5).log().add(4.5).div(5)
        logits: Tensor = self.head(self.features(mel[:, None]).mean((2, 3)))
        return logits


def mel_filters(bands: int = 128, high: float = 15_000.0) -> Tensor:
    """Triangles (bands, 513) on Kaldi's mel scale."""
    bins = torch.arange(513) * MOBILE_RATE / 1024
    mels = 1127 * torch.log1p(bins / 700)
    top = 1127 * torch.log1p(torch.tensor(high / 700))
    edges = torch.linspace(0, 1, bands + 2) * top
    left, centre, right = (edges[start : start + bands, None] for start in range(3))
    filters = torch.minimum((mels - left) / (centre - left), (right - mels) / (right - centre)).clamp(min=0)
    filters[:, -1] = 0
    return filters


@torch.inference_mode()
def mobilenet_speed(paths: Sequence[Path], batch: int = 1) -> float:
    """Seconds of sound per second; its authors' own program takes one file at a time."""
    network = MobileNet().eval()

    def tag(some: Sequence[Path]) -> float:
        waves = [torch.from_numpy(read_sound(path, MOBILE_RATE)) for path in some]
        longest = max(len(wave) for wave in waves)
        network(torch.stack([functional.pad(wave, (0, longest - len(wave))) for wave in waves])).sigmoid()
        return sum(len(wave) for wave in waves) / MOBILE_RATE

    return _fastest(tag, [paths[first : first + batch] for first in range(0, len(paths), batch)])


@torch.inference_mode()
def ast_speed(paths: Sequence[Path]) -> float:
    """Seconds of sound per second through `transformers`' own extractor and model."""
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    config: Any = ASTConfig()
    config.num_labels = 527
    extractor: Any = ASTFeatureExtractor  # its constructor has no types
    extract, network = extractor(), ASTForAudioClassification(config)
    network.train(False)

    def tag(path: Path) -> float:
        wave = read_sound(path, AST_RATE)
        network(**extract(wave, sampling_rate=AST_RATE, return_tensors="pt")).logits.sigmoid()
        return len(wave) / AST_RATE

    return _fastest(tag, paths)


def _fastest(tag: Callable[[T], float], parts: Sequence[T]) -> float:
    """Seconds of sound per second of the quickest of a few rounds over all parts, after one part to warm up."""
    tag(parts[0])
    speeds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        seconds = sum(tag(part) for part in parts)
        speeds.append(seconds / (time.perf_counter() - start))
    return max(speeds)
