"""The encoder of sam-nano: a small convolutional stem, then bidirectional Mamba-2 layers, then a tag head.

One forward pass serves every task: `tokens` feed the language model, `step_logits` say what sounds when, and
`clip_logits` what sounds at all. Twelve and a half tokens a second; a window of any length up to some tens of seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.models.encoders.base import Encoder, EncoderKind
from samcli.models.interface import Encoding
from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2
from samcli.ssm.fast import winograd
from samcli.ssm.fast.linear import signature
from samcli.ssm.fast.maps import channels_last, convolved
from samcli.ssm.fast.winograd import WinogradConvolution
from samcli.ssm.norms import RMSNorm

FRAMES_PER_TOKEN = 8  # three halvings in time: 100 frames/s become 12.5 tokens/s
WINDOW_FRAMES = 1000  # what it reads at once when it stands alone as a tagger
PARTS = 3  # of a stretch
LEAST_WEIGHT = -60.0  # the logarithm of the least a step weighs beside the most telling one
CACHED_FRAMES = 2000  # over all rows, of which a processor's caches hold the stem's first maps


@dataclass(frozen=True)
class NanoConfig:
    mel_bins: int = 128
    mel_mean: float = -7.5  # of log-mel energies over the training corpus
    mel_std: float = 5.5
    stem: tuple[int, ...] = (
        24,
        48,
        96,
        160,
    )  # channels after each halving in frequency (the last keeps its time steps)
    stem_depth: tuple[int, ...] = (0, 1, 2, 1)  # residual convolutions after each
    layers: int = 8
    mixer: BidirectionalConfig = field(default_factory=BidirectionalConfig)
    classes: int = 527
    dropout: float = 0.0
    # How many tokens of a window are heard together: it is tagged by its plainest stretch. 0: by the whole of it.
    stretch: int = 24

    @property
    def width(self) -> int:
        return self.mixer.d_model

    def tokens(self, frames: Tensor) -> Tensor:
        for _ in range(3):
            frames = (frames + 1) // 2
        return frames


class ConvNorm(nn.Module):
    """3x3 convolution, batch norm, GELU; `residual` adds the input back.

    All but the GELU are done to the weights where nothing is learned: they are small, and the maps are not.
    """

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, int], residual: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.residual = residual
        self.halves = stride[0] == 2  # in time
        self.quick: WinogradConvolution | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            y = self.norm(self.conv(x))
            return F.gelu(x + y if self.residual else y)
        if winograd.serves(x, self.conv.weight, self.conv.stride):
            return self._prepared()(x)
        return convolved(x, *self.folded(), self.conv.stride)

    def _prepared(self) -> WinogradConvolution:
        quick, made_of = self.quick, signature(self)
        if quick is None or quick.made_of != made_of:
            self.quick = quick = WinogradConvolution(*self.folded(), self.conv.stride[1], made_of)
        return quick

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that is this one, its batch norm and what its residual adds."""
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        if self.residual:  # x itself is a convolution with one at the middle
            middle = torch.zeros_like(weight)
            middle[:, :, 1, 1] = torch.eye(len(weight), dtype=weight.dtype, device=weight.device)
            weight = weight + middle
        return weight, norm.bias - norm.running_mean * scale


class Stem(nn.Module):
    """(batch, frames, mel) to (batch, tokens, width)."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        inputs, bins = 1, config.mel_bins
        for stage, (channels, depth) in enumerate(zip(config.stem, config.stem_depth, strict=True)):
            blocks.append(ConvNorm(inputs, channels, (2 if stage < 3 else 1, 2)))
            blocks += [ConvNorm(channels, channels, (1, 1), residual=True) for _ in range(depth)]
            inputs, bins = channels, bins // 2
        self.blocks = nn.ModuleList(blocks)
        self.out = nn.Linear(inputs * bins, config.width)

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> Tensor:
        if self.training or mel.is_cuda:  # a batch norm that learns must see all rows at once
            return self._convolved(mel, frames)
        rows = max(1, CACHED_FRAMES // max(1, mel.shape[1]))
        parts = [slice(at, at + rows) for at in range(0, len(mel), rows)]
        return torch.cat([self._convolved(mel[part], None if frames is None else frames[part]) for part in parts])

    def _convolved(self, mel: Tensor, frames: Tensor | None) -> Tensor:
        x = channels_last(mel)  # (batch, 1, frames, mel)
        for block in self.blocks:
            if frames is not None:
                # Zero what lies behind a row's end before each convolution: its last frames then see the same
                # border whatever the row is padded to.
                x = x * (torch.arange(x.shape[2], device=x.device) < frames[:, None])[:, None, :, None]
                if block.halves:
                    frames = (frames + 1) // 2
            x = block(x)
        y: Tensor = self.out(x.permute(0, 2, 3, 1).flatten(2))  # (batch, tokens, bins * channels)
        return y


class Layer(nn.Module):
    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.width, 1e-5)
        self.mixer = BidirectionalMamba2(config.mixer)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        out: Tensor = x + self.dropout(self.mixer(self.norm(x), lengths))
        return out


class NanoEncoder(Encoder):
    head_parts = ("head", "attention")
    keeps_head = judges_features = True
    config: NanoConfig

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config
        self.width, self.classes = config.width, config.classes
        self.bands, self.step_frames = 1, FRAMES_PER_TOKEN
        self.window_frames, self.scores_steps = WINDOW_FRAMES, True
        self.stem = Stem(config)
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.norm = RMSNorm(config.width, 1e-5)
        self.head = nn.Linear(config.width, config.classes)
        self.attention = nn.Linear(config.width, config.classes)
        nn.init.constant_(self.head.bias, -4.6)  # most classes are absent: start at one per cent

    def steps(self, frames: int) -> int:
        return -(-frames // FRAMES_PER_TOKEN)

    def lay_out(self) -> None:
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> Encoding:
        x = (mel - self.config.mel_mean).div_(self.config.mel_std)
        del mel  # of a batch it is what counts, and nobody needs it any more
        x = self.stem(x.to(self.head.weight.dtype), frames)
        lengths = None if frames is None else self.config.tokens(frames)
        for layer in self.layers:
            x = layer(x, lengths)
        return self.judge(self.norm(x), lengths)

    def judge(self, x: Tensor, lengths: Tensor | None = None) -> Encoding:
        step_logits = self.head(x)
        if lengths is None:
            lengths = torch.full((x.shape[0],), x.shape[1], device=x.device)
        attention = self.attention(x).float()
        behind = torch.arange(x.shape[1], device=x.device)[None, :] >= lengths[:, None]
        attention = attention.masked_fill(behind[..., None], float("-inf"))
        clip_logits = plainest(step_logits.float(), attention, lengths, self.config.stretch)
        return Encoding(x, lengths, clip_logits, step_logits)


def plainest(step_logits: Tensor, attention: Tensor, lengths: Tensor, stretch: int) -> Tensor:
    """A clip's logits (batch, classes): the highest of its stretches', which begin every third of a stretch.

    A stretch's logit is the mean of its steps' logits, weighted by how telling each step is for that class. Over a
    whole window a short sound would be weighed against all the rest of it.
    """
    if not stretch:
        return (attention.softmax(1) * step_logits).sum(1)
    steps = -(-stretch // PARTS)
    # Weights of one window are far apart at most by what float32 can hold.
    weight = (attention - attention.amax(1, keepdim=True)).clamp(min=LEAST_WEIGHT).exp()
    weight = weight.masked_fill(attention == float("-inf"), 0.0)
    # (batch, stretches, classes) both
    above, below = (blocks(part, steps).unfold(1, PARTS, 1).sum(-1) for part in (weight * step_logits, weight))
    count = (-(-lengths // steps) - PARTS).clamp(min=0)  # the last stretch that is not cut short by the end
    beyond = torch.arange(below.shape[1], device=lengths.device)[None, :] > count[:, None]
    return (above / below.clamp(min=1e-30)).masked_fill(beyond[..., None], float("-inf")).amax(1)


def blocks(values: Tensor, steps: int) -> Tensor:
    """Sums of so many steps each, at least as many blocks as a stretch has: (batch, blocks, classes)."""
    batch, length, classes = values.shape
    whole = max(-(-length // steps), PARTS) * steps
    return F.pad(values, (0, 0, 0, whole - length)).reshape(batch, -1, steps, classes).sum(2)


KIND = EncoderKind("nano", NanoConfig, NanoEncoder, Layer, {"nano": NanoConfig()})
