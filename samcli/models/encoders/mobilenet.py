"""The trunk of nano's encoder: MobileNetV3 at width 0.4, in the shape of EfficientAT's mn04 (arXiv 2211.04772).

Time runs along a map's height and frequency along its width, so that a map is a row of time steps as it lies in memory.
What lies behind a row's end is zero before every convolution that looks around itself, and out of every mean, as if the
row were alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.ssm.fast.linear import version

BAND_STRIDE = 32  # mel bands, and frames, of one cell of the last map
BANDS = 128
WIDEN = 6  # channels of the last map over those of the last block
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": lambda x: x, "relu": F.relu, "hardswish": F.hardswish}


class BlockShape(NamedTuple):
    """One inverted residual."""

    inputs: int
    expanded: int  # channels between the two pointwise convolutions; equal to `inputs`: no expansion
    outputs: int
    kernel: int
    stride: int
    squeeze: int  # channels of the squeeze-and-excite gate; 0: no gate
    activation: str


MN04 = (
    BlockShape(8, 8, 8, 3, 1, 0, "relu"),
    BlockShape(8, 24, 16, 3, 2, 0, "relu"),
    BlockShape(16, 32, 16, 3, 1, 0, "relu"),
    BlockShape(16, 32, 16, 5, 2, 8, "relu"),
    BlockShape(16, 48, 16, 5, 1, 16, "relu"),
    BlockShape(16, 48, 16, 5, 1, 16, "relu"),
    BlockShape(16, 96, 32, 3, 2, 0, "hardswish"),
    BlockShape(32, 80, 32, 3, 1, 0, "hardswish"),
    BlockShape(32, 72, 32, 3, 1, 0, "hardswish"),
    BlockShape(32, 72, 32, 3, 1, 0, "hardswish"),
    BlockShape(32, 192, 48, 3, 1, 48, "hardswish"),
    BlockShape(48, 272, 48, 3, 1, 72, "hardswish"),
    BlockShape(48, 272, 64, 5, 2, 72, "hardswish"),
    BlockShape(64, 384, 64, 5, 1, 96, "hardswish"),
    BlockShape(64, 384, 64, 5, 1, 96, "hardswish"),
)
TAPS = (8, 16)  # strides of the maps that are read beside the last one: 80 and 160 ms a step, the last one has 320
TINY = (  # for tests
    BlockShape(4, 4, 4, 3, 2, 0, "relu"),
    BlockShape(4, 8, 4, 3, 2, 4, "relu"),
    BlockShape(4, 8, 8, 3, 2, 0, "hardswish"),
    BlockShape(8, 8, 8, 5, 2, 4, "hardswish"),
)
TRUNKS = {"mn04": MN04, "tiny": TINY}


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation; the norm's statistics are fixed and folded into the weights."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: str = "none"):
        super().__init__()
        padding = (kernel - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.activation = act
        self.learns_statistics = False  # true only while a trunk is trained from noise
        self._folded: tuple[list[tuple[int, int]], tuple[Tensor, Tensor]] | None = None

    def forward(self, x: Tensor) -> Tensor:
        activation, conv = ACTIVATIONS[self.activation], self.conv
        if self.training and self.learns_statistics:
            return activation(self.norm(conv(x)))
        weight, bias = self.folded()
        return activation(F.conv2d(x, weight, bias, conv.stride, conv.padding, groups=conv.groups))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that equals this one and its norm."""
        weight, norm = self.conv.weight, self.norm
        mean, var = norm.running_mean, norm.running_var
        assert mean is not None and var is not None
        # Kept for as long as nobody writes to what it is made of; a gradient is to reach that itself.
        keeps = not torch.is_grad_enabled()
        now = [(one.data_ptr(), version(one)) for one in (weight, norm.weight, norm.bias, mean, var)] if keeps else []
        if keeps and self._folded is not None and self._folded[0] == now:
            return self._folded[1]
        scale = norm.weight * torch.rsqrt(var + norm.eps)
        found = weight * scale[:, None, None, None], norm.bias - mean * scale
        self._folded = (now, found) if keeps else None
        return found


class SqueezeExcite(nn.Module):
    """Gates every channel by what the whole window holds."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, squeezed)
        self.fc2 = nn.Linear(squeezed, channels)

    def forward(self, x: Tensor, inside: Tensor | None, steps: Tensor | None) -> Tensor:
        if inside is None or steps is None:
            mean = x.mean((2, 3))
        else:
            mean = (x * inside).sum((2, 3)) / (steps[:, None] * x.shape[3])
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(mean))))
        return x * gate[:, :, None, None]


class InvertedResidual(nn.Module):
    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        inputs, expanded, outputs, kernel, stride, squeeze, act = shape
        self.stride = stride
        self.expand = ConvNorm(inputs, expanded, 1, act=act) if expanded != inputs else None
        self.depthwise = ConvNorm(expanded, expanded, kernel, stride, groups=expanded, act=act)
        self.gate = SqueezeExcite(expanded, squeeze) if squeeze else None
        self.project = ConvNorm(expanded, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor, steps: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Maps (batch, channels, steps, bands) and each row's valid steps, before and after."""
        y = x if self.expand is None else self.expand(x)
        if steps is not None:
            y = y * within(y, steps)
        y = self.depthwise(y)
        if steps is not None and self.stride == 2:
            steps = (steps + 1) // 2
        if self.gate is not None:
            y = self.gate(y, None if steps is None else within(y, steps), steps)
        y = self.project(y)
        return (x + y if self.adds else y), steps


class MobileNet(nn.Module):
    """(batch, frames, bands) to maps of 80, 160 and 320 ms a step: (batch, channels, steps, bands) each."""

    def __init__(self, shapes: tuple[BlockShape, ...] = MN04) -> None:
        super().__init__()
        self.stem = ConvNorm(1, shapes[0].inputs, 3, stride=2, act="hardswish")
        self.blocks = nn.ModuleList([InvertedResidual(shape) for shape in shapes])
        last = WIDEN * shapes[-1].outputs
        self.last = ConvNorm(shapes[-1].outputs, last, 1, act="hardswish")
        strides = [2 * math.prod(shape.stride for shape in shapes[: number + 1]) for number in range(len(shapes))]
        # The last block of each stride that is read, and (bands, channels) of every map that is.
        self.taps = [max(number for number, stride in enumerate(strides) if stride == tap) for tap in TAPS]
        self.sizes = [(BANDS // tap, shapes[block].outputs) for tap, block in zip(TAPS, self.taps, strict=True)]
        self.sizes.append((BANDS // BAND_STRIDE, last))

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> list[Tensor]:
        x = mel[:, None] if self.training else channels_last(mel)  # gradients are quicker with channels apart
        if frames is not None:
            x = x * within(x, frames)
        x, steps = self.stem(x), None if frames is None else (frames + 1) // 2
        maps = []
        for number, block in enumerate(self.blocks):
            x, steps = block(x, steps)
            if number in self.taps:
                maps.append(x)
        return [*maps, self.last(x)]


def channels_last(maps: Tensor) -> Tensor:
    """(batch, height, width) as maps of one channel, laid out so that convolutions keep channels side by side."""
    return maps.contiguous()[..., None].permute(0, 3, 1, 2)  # `Tensor.contiguous` would leave one channel's strides


def within(x: Tensor, steps: Tensor) -> Tensor:
    """Which steps of each row are valid: (batch, 1, steps, 1)."""
    return (torch.arange(x.shape[2], device=x.device) < steps[:, None])[:, None, :, None]
