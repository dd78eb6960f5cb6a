"""The encoder of sam-nano: a MobileNet trunk, then bidirectional Mamba-2 layers, then a tag head.

One forward pass serves every task: `tokens` feed the language model, `step_logits` say what sounds when, and
`clip_logits` what sounds at all. Twelve and a half tokens a second; a window of any length up to some tens of seconds.
A window is what is heard at once: the trunk's gates and its level are of the whole of it.

A sound among others is plainer in the part of a window where it is heard than in the whole. Parts are made of blocks
of 16 tokens (1.28 s); they begin at fixed places, so that neither padding nor neighbours change them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.audio.front_end import EVEN_32K
from samcli.models.encoders.base import Encoder, EncoderKind
from samcli.models.encoders.mobilenet import BAND_STRIDE, TRUNKS, MobileNet
from samcli.models.interface import Encoding
from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2
from samcli.ssm.convolution import MambaOutMixer
from samcli.ssm.norms import RMSNorm

BLOCK = 16  # tokens
SIZES = (4, 2)  # blocks of the parts; they begin half their length apart
NOTHING = float("-inf")

FRAMES_PER_TOKEN = 8  # three halvings in time: 100 frames/s become 12.5 tokens/s
WINDOW_FRAMES = 1000  # what it reads at once when it stands alone as a tagger
PARTS = 3  # of a stretch
LEAST_WEIGHT = -60.0  # the logarithm of the least a step weighs beside the most telling one
COLUMNS = BLOCK * FRAMES_PER_TOKEN // BAND_STRIDE  # of the trunk's last map in a block
CACHED_FRAMES = 2000  # over all rows, of which a processor's caches hold the trunk's first maps


class Blocks(NamedTuple):
    """Sum and maximum of each block's valid steps: (batch, blocks, width) each."""

    sums: Tensor
    peaks: Tensor

    @classmethod
    def of(cls, x: Tensor, lengths: Tensor, size: int) -> Blocks:
        """Of (batch, steps, width) and its valid steps, so many a block."""
        valid = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
        count = -(-x.shape[1] // size)
        beyond = (0, 0, 0, count * size - x.shape[1])
        shape = (len(x), count, size, x.shape[2])
        sums = F.pad(x.masked_fill(~valid, 0.0), beyond).reshape(shape).sum(2)
        return cls(sums, F.pad(x.masked_fill(~valid, NOTHING), beyond, value=NOTHING).reshape(shape).amax(2))

    def packed(self) -> Tensor:
        return torch.cat(self, 2)

    @classmethod
    def unpacked(cls, packed: Tensor) -> Blocks:
        return cls(*packed.chunk(2, 2))

    def pools(self, lengths: Tensor, size: int) -> Tensor:
        """Mean beside maximum of the whole and of every part: (batch, 1 + parts, 2 * width)."""
        whole = torch.cat([self.sums.sum(1) / lengths[:, None], self.peaks.amax(1)], 1)[:, None]
        return torch.cat([whole, *(self._pools(lengths, size, blocks) for blocks in SIZES)], 1)

    def _pools(self, lengths: Tensor, size: int, blocks: int) -> Tensor:
        sums, peaks = (part.unfold(1, blocks, blocks // 2) for part in self._filled(blocks))
        begins = torch.arange(sums.shape[1], device=lengths.device) * (blocks // 2 * size)
        held = (lengths[:, None] - begins).clamp(1, blocks * size)[..., None]  # steps of each part
        highest = peaks.amax(-1)
        return torch.cat([sums.sum(-1) / held, highest.masked_fill(highest == NOTHING, 0.0)], 2)

    def _filled(self, blocks: int) -> Blocks:
        """With empty blocks behind, so that every part that begins is whole."""
        beyond = (0, 0, 0, blocks - self.sums.shape[1] % (blocks // 2))
        return Blocks(F.pad(self.sums, beyond), F.pad(self.peaks, beyond, value=NOTHING))


def number_of_parts(tokens: int, blocks: int) -> int:
    """How many of a size begin within so many tokens."""
    return -(-tokens // BLOCK) // (blocks // 2) + 1


def parts_of(tokens: int) -> list[tuple[int, int]]:
    """First token and length of each part that `Blocks.pools` gives, in its order."""
    return [
        (place * (blocks // 2) * BLOCK, blocks * BLOCK)
        for blocks in SIZES
        for place in range(number_of_parts(tokens, blocks))
    ]


def without_empty(logits: Tensor, lengths: Tensor, tokens: int) -> Tensor:
    """(batch, 1 + parts, classes) with the parts taken out that a row does not fill by half, or that are all of it."""
    device = lengths.device  # made there: a copy from the processor would have to wait for the card
    counts = [(number_of_parts(tokens, blocks), blocks) for blocks in SIZES]
    begin = torch.cat([torch.arange(count, device=device) * (blocks // 2 * BLOCK) for count, blocks in counts])
    size = torch.cat([torch.full((count,), blocks * BLOCK, device=device) for count, blocks in counts])
    real = (lengths[:, None] > size) & (begin + size // 2 < lengths[:, None])
    real = F.pad(real, (1, 0), value=True)  # the whole window counts always
    return logits.masked_fill(~real[..., None], NOTHING)


def in_their_part(steps: Tensor, parts: Tensor) -> Tensor:
    """Logits of steps (batch, tokens, classes), each in the light of the plainest of the longest parts that hold it.

    The chance of a step is the root of both chances' product: a step alone mishears, a part does not say when.
    """
    tokens, size = steps.shape[1], SIZES[0] * BLOCK
    count = number_of_parts(tokens, SIZES[0])
    longest = parts[:, 1 : 1 + count]  # each half of one is held by it and by the second half of the one before
    light = torch.maximum(longest, F.pad(longest[:, :-1], (0, 0, 1, 0), value=NOTHING))
    light = torch.where(light == NOTHING, parts[:, :1], light).repeat_interleave(size // 2, 1)[:, :tokens]
    chance = (F.logsigmoid(steps) + F.logsigmoid(light)) / 2
    return chance - torch.log(-torch.expm1(chance.clamp(max=-1e-7)))


@dataclass(frozen=True)
class NanoConfig:
    trunk: str = "mn04"  # of mobilenet.TRUNKS
    layers: int = 4
    mixer: BidirectionalConfig = field(default_factory=BidirectionalConfig)
    mixing: Literal["mamba2", "mambaout"] = "mamba2"  # mambaout: of `mixer` only the width is used
    hidden: int = 512  # of the head that judges a whole window
    classes: int = 527
    dropout: float = 0.0
    # How many tokens of a window are heard together: it is also tagged by its plainest stretch. 0: by the whole of it.
    stretch: int = 24

    @property
    def width(self) -> int:
        return self.mixer.d_model

    def tokens(self, frames: Tensor) -> Tensor:
        for _ in range(3):
            frames = (frames + 1) // 2
        return frames


class Layer(nn.Module):
    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.norm = RMSNorm(config.width, 1e-5)
        out = config.mixing == "mambaout"
        self.mixer = MambaOutMixer(config.width) if out else BidirectionalMamba2(config.mixer)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        out: Tensor = x + self.dropout(self.mixer(self.norm(x), lengths))
        return out


class NanoEncoder(Encoder):
    front_end = EVEN_32K
    head_parts = ("head", "attention", "window_head")
    keeps_head = judges_features = True
    config: NanoConfig

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.config = config
        self.width, self.classes = config.width, config.classes
        self.bands, self.step_frames = 1, FRAMES_PER_TOKEN
        self.window_frames, self.scores_steps = WINDOW_FRAMES, True
        self.trunk = MobileNet(TRUNKS[config.trunk])
        last = self.trunk.sizes[-1][1]
        self.join = nn.ModuleList(
            [
                nn.Linear(bands * channels, config.width, bias=number == 0)
                for number, (bands, channels) in enumerate(self.trunk.sizes)
            ]
        )
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.norm = RMSNorm(config.width, 1e-5)
        self.head = nn.Linear(config.width, config.classes)
        self.attention = nn.Linear(config.width, config.classes)
        self.window_hidden = nn.Linear(2 * (last + config.width), config.hidden)
        self.window_head = nn.Linear(config.hidden, config.classes)
        self.window_dropout = nn.Dropout(2 * config.dropout)
        self.gain = nn.Parameter(torch.zeros(config.classes))  # of the plainest stretch beside the whole window
        nn.init.constant_(self.head.bias, -4.6)  # most classes are absent: start at one per cent

    def steps(self, frames: int) -> int:
        return -(-frames // FRAMES_PER_TOKEN)

    def lay_out(self) -> None:
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> Encoding:
        """mel (batch, frames, bins) as the front end gives it; `frames` (batch,) when rows are padded."""
        if self.training or mel.device.type != "cpu":
            joined, pooled = self._heard(mel, frames)
        else:
            rows = max(1, CACHED_FRAMES // max(1, mel.shape[1]))
            parts = [slice(at, at + rows) for at in range(0, len(mel), rows)]
            heard = [self._heard(mel[part], None if frames is None else frames[part]) for part in parts]
            joined, pooled = (torch.cat(part) for part in zip(*heard, strict=True))
        lengths = None if frames is None else self.config.tokens(frames)
        for layer in self.layers:
            joined = layer(joined, lengths)
        return self.judge(self.norm(joined), pooled, lengths)

    def _heard(self, mel: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor]:
        """The trunk's maps as tokens (batch, tokens, width); its last one in blocks (batch, blocks, 2 * channels)."""
        maps = self.trunk(mel.to(self.head.weight.dtype), frames)
        tokens = maps[0].shape[2]
        flat = [part.permute(0, 2, 3, 1).flatten(2) for part in maps]  # (batch, steps, bands * channels)
        parts = [layer(part) for layer, part in zip(self.join, flat, strict=True)]
        joined = sum_of(part.repeat_interleave(2**times, 1)[:, :tokens] for times, part in enumerate(parts))
        last = maps[-1].float()  # (batch, channels, columns, bands)
        columns = torch.full((len(last),), last.shape[2], device=last.device)
        if frames is not None:
            columns = -(-frames // BAND_STRIDE)
        flat_map = last.permute(0, 2, 3, 1).flatten(1, 2)
        bands = last.shape[3]
        blocks = Blocks.of(flat_map, columns * bands, COLUMNS * bands)
        return joined, blocks.packed()

    def judge(self, x: Tensor, pooled: Tensor | None, lengths: Tensor | None = None) -> Encoding:
        assert pooled is not None, "the window's head reads the trunk's pooled map"
        if lengths is None:
            lengths = torch.full((x.shape[0],), x.shape[1], device=x.device)
        step_logits = self.head(x)
        heard = self._by_parts(x, Blocks.unpacked(pooled.float()), lengths)
        attention = self.attention(x).float()
        behind = torch.arange(x.shape[1], device=x.device)[None, :] >= lengths[:, None]
        attention = attention.masked_fill(behind[..., None], float("-inf"))
        stretch = best_stretch(step_logits.float(), attention, lengths, self.config.stretch)
        heard = heard + (self.gain.float() * stretch)[:, None]
        return Encoding(x, lengths, heard.amax(1), in_their_part(step_logits.float(), heard), pooled)

    def _by_parts(self, x: Tensor, trunk: Blocks, lengths: Tensor) -> Tensor:
        """What the window's head says of the whole window and of each part: (batch, 1 + parts, classes)."""
        most = -(-x.shape[1] // BLOCK)
        trunk = Blocks(trunk.sums[:, :most], trunk.peaks[:, :most])
        bands = self.trunk.sizes[-1][0]
        columns = -(-lengths // (BAND_STRIDE // FRAMES_PER_TOKEN))
        of_trunk = trunk.pools(columns * bands, COLUMNS * bands)
        of_tokens = Blocks.of(x.float(), lengths, BLOCK).pools(lengths, BLOCK)
        hidden = F.hardswish(self.window_hidden(torch.cat([of_trunk, of_tokens], 2).to(x.dtype)))
        return without_empty(self.window_head(self.window_dropout(hidden)).float(), lengths, x.shape[1])


def sum_of(parts: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, parts)


def best_stretch(step_logits: Tensor, attention: Tensor, lengths: Tensor, stretch: int) -> Tensor:
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
    above, below = (block_sums(part, steps).unfold(1, PARTS, 1).sum(-1) for part in (weight * step_logits, weight))
    count = (-(-lengths // steps) - PARTS).clamp(min=0)  # the last stretch that is not cut short by the end
    beyond = torch.arange(below.shape[1], device=lengths.device)[None, :] > count[:, None]
    return (above / below.clamp(min=1e-30)).masked_fill(beyond[..., None], float("-inf")).amax(1)


def block_sums(values: Tensor, steps: int) -> Tensor:
    """Sums of so many steps each, at least as many blocks as a stretch has: (batch, blocks, classes)."""
    batch, length, classes = values.shape
    whole = max(-(-length // steps), PARTS) * steps
    return F.pad(values, (0, 0, 0, whole - length)).reshape(batch, -1, steps, classes).sum(2)


KIND = EncoderKind("nano", NanoConfig, NanoEncoder, Layer, {"nano": NanoConfig()})
