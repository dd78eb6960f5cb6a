"""MambaOut (arXiv 2405.07992): a picture network of Mamba blocks with the scan removed.

A block is a gated MLP in which a part of the values passes a depthwise convolution. As an audio tagger it reads a
spectrogram as a picture of one channel; against a scan of the same size it shows what the scan buys. `MambaOutMixer`
is the same gate and convolution for the tokens of a window, in the place of a scan's mixer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.ragged import valid_mask

NORM_EPS = 1e-6


@dataclass(frozen=True)
class MambaOutConfig:
    depths: tuple[int, ...] = (3, 3, 9, 3)  # blocks per stage
    dims: tuple[int, ...] = (48, 96, 192, 288)  # width of each stage
    channels: int = 1  # of the input picture
    classes: int = 527
    kernel: int = 7  # of the depthwise convolutions
    convolved: float = 1.0  # share of a block's width that is convolved
    expand: float = 8 / 3  # hidden width over the block's width


class GatedConvolutionBlock(nn.Module):
    """x + fc2(gelu(gate) * [kept | convolved]), channels last: (batch, height, width, channels)."""

    def __init__(self, width: int, kernel: int = 7, convolved: float = 1.0, expand: float = 8 / 3) -> None:
        super().__init__()
        hidden, self.convolved = int(expand * width), int(convolved * width)
        self.norm = nn.LayerNorm(width, NORM_EPS)
        self.fc1 = nn.Linear(width, 2 * hidden)
        self.sizes = [hidden, hidden - self.convolved, self.convolved]  # gate, kept, convolved
        self.conv = nn.Conv2d(self.convolved, self.convolved, kernel, padding=kernel // 2, groups=self.convolved)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, kept, moved = torch.split(self.fc1(self.norm(x)), self.sizes, dim=-1)
        moved = self.conv(moved.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # (batch, height, width, convolved)
        y: Tensor = self.fc2(F.gelu(gate) * torch.cat([kept, moved], dim=-1))
        return x + y


class MambaOutMixer(nn.Module):
    """`y = mixer(x, lengths)`: (batch, length, width) to the same shape; norm and residual are the caller's."""

    def __init__(self, width: int, kernel: int = 7, expand: float = 8 / 3) -> None:
        super().__init__()
        hidden = int(expand * width)
        self.in_proj = nn.Linear(width, 2 * hidden)  # gate, values
        self.conv = nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden)
        self.out_proj = nn.Linear(hidden, width)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        gate, values = self.in_proj(x).chunk(2, dim=-1)
        if lengths is not None:  # what lies behind a row's end never reaches a valid step
            values = values * valid_mask(lengths, x.shape[1])[..., None]
        picture = values.contiguous().transpose(1, 2)[:, :, None]  # of height one: the layout that needs no copies
        weight, padding = self.conv.weight[:, :, None], (0, self.conv.kernel_size[0] // 2)
        moved = F.conv2d(picture, weight, self.conv.bias, padding=padding, groups=len(weight))
        y: Tensor = self.out_proj(F.gelu(gate) * moved[:, :, 0].transpose(1, 2))
        return y


def _strided(convolution: nn.Module, x: Tensor) -> Tensor:
    """A channels-first convolution on a channels-last map."""
    y: Tensor = convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return y


class Stem(nn.Module):
    """Two halvings of the picture before the first stage."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width // 2, 3, stride=2, padding=1)
        self.norm1 = nn.LayerNorm(width // 2, NORM_EPS)
        self.conv2 = nn.Conv2d(width // 2, width, 3, stride=2, padding=1)
        self.norm2 = nn.LayerNorm(width, NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norm1(_strided(self.conv1, x)))
        y: Tensor = self.norm2(_strided(self.conv2, x))
        return y


class Halving(nn.Module):
    """The step down between two stages."""

    def __init__(self, width: int, wider: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, wider, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(wider, NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(_strided(self.conv, x))
        return y


class MambaOutHead(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.norm = nn.LayerNorm(4 * width, NORM_EPS)
        self.fc2 = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(self.norm(F.gelu(self.fc1(x))))
        return y


class MambaOut(nn.Module):
    def __init__(self, config: MambaOutConfig) -> None:
        super().__init__()
        self.config = c = config
        steps = zip(c.dims[:-1], c.dims[1:], strict=True)
        self.downsample_layers = nn.ModuleList([Stem(c.channels, c.dims[0]), *(Halving(a, b) for a, b in steps)])
        self.stages = nn.ModuleList(
            nn.Sequential(*(GatedConvolutionBlock(width, c.kernel, c.convolved, c.expand) for _ in range(depth)))
            for depth, width in zip(c.depths, c.dims, strict=True)
        )
        self.norm = nn.LayerNorm(c.dims[-1], NORM_EPS)
        self.head = MambaOutHead(c.dims[-1], c.classes)

    def features(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, height / 32, width / 32, dims[-1])"""
        x = x.permute(0, 2, 3, 1)
        for down, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(down(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, classes) logits; the mean is taken before the norm."""
        y: Tensor = self.head(self.norm(self.features(x).mean(dim=(1, 2))))
        return y
