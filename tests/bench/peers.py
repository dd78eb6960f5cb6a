"""Programs that people use today, beside ours on the same machine: python tests/bench/peers.py [--quick]

Weights are random: they do not change the speed, and none need be fetched. Each peer runs in a process of its own, and
the ratio says how many times faster ours is. MobileNet mn04 is EfficientAT's small AudioSet tagger (MobileNetV3-large
at width 0.4, arXiv 2211.04772); AST is the Audio Spectrogram Transformer as `transformers` builds it, and Mamba-2 its
PyTorch path. The taggers decode with our reader, so what differs is the front end and the network.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from samcli.audio.decode import read_sound
from samcli.bench.core import READINGS, Row, decoding, fastest, random_model, reading, row
from samcli.bench.folder import hear, make_clips
from samcli.checkpoints.loading import load_model
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel

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


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """What `function(*arguments)` gives in a new interpreter: none of our settings helps or hinders there."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def taggers(quick: bool) -> Iterator[Row]:
    """A shared machine changes its pace within a minute: ours tags before and after, and the better run counts."""
    model = load_model("sam-nano", device="cpu", dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder) / "clips", 32 if quick else 200, 10.0, ("wav", "mp3"))
        paths, ours, speeds = sorted(clips.iterdir()), [hear("tag", clips, model)], {}
        for batch in (1, 4, 16):  # one by one is how its authors' program works; what is best depends on the caches
            speeds[f"MobileNet mn04, {batch} at a time"] = in_fresh_process(mobilenet_speed, paths[:32], batch)
        if importlib.util.find_spec("transformers"):
            speeds["AST-base"] = in_fresh_process(ast_speed, paths[: 2 if quick else 8])
        ours.append(hear("tag", clips, model))
    speed = max(report.audio_seconds / report.elapsed for report in ours)
    for name, theirs in speeds.items():
        yield row(f"tag, against {name}", speed, "s/s", theirs, theirs)


def language_models(quick: bool) -> Iterator[Row]:
    """Mamba-2 130M, ours over that of transformers."""
    if not importlib.util.find_spec("transformers"):
        return
    for dtype in (torch.float32, torch.bfloat16):
        model = random_model(LanguageConfig(), dtype, "cpu")
        before = reading(model, (512,) if quick else (512, 2048))
        yield from beside_transformers(model, before, decoding(model, quick, "cpu")[0])


def beside_transformers(model: LanguageModel, before: dict[int, float], decode: float) -> Iterator[Row]:
    """Our rates over those of transformers' PyTorch path; nothing where it is not installed.

    A shared machine changes its pace within a minute: ours reads `before` and after, theirs as often in between.
    """
    import torch

    if importlib.util.find_spec("transformers") is None:
        return
    dtype = model.lm_head.weight.dtype
    name = str(dtype).removeprefix("torch.")
    targets = {512: 1.7, 2048: 3.0} if dtype is torch.float32 else {512: 2.5, 2048: 4.0}
    theirs, theirs_decode = in_fresh_process(transformers_speeds, model.config, dtype, tuple(before))
    after = reading(model, tuple(before))
    for tokens, speed in theirs.items():
        gain = max(before[tokens], after[tokens]) / speed
        yield row(f"prefill {tokens} {name} over transformers", gain, "x", None, targets[tokens])
    yield row(f"decode 1 {name} over transformers", decode / theirs_decode, "x", None, 1.6)


def transformers_speeds(
    config: LanguageConfig, dtype: torch.dtype, lengths: tuple[int, ...]
) -> tuple[dict[int, float], float]:
    """Tokens per second of transformers' Mamba-2 of this size: reading each of the lengths, and speaking."""
    import torch
    import transformers

    # that its own kernels are missing is the point here
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    warnings.simplefilter("ignore", FutureWarning)
    theirs = transformers.Mamba2ForCausalLM(
        transformers.Mamba2Config(
            hidden_size=config.d_model,
            num_hidden_layers=config.n_layer,
            num_heads=config.expand * config.d_model // config.headdim,
            head_dim=config.headdim,
            state_size=config.d_state,
            n_groups=config.ngroups,
            vocab_size=config.padded_vocab_size,
            tie_word_embeddings=True,
        )
    )
    theirs.to(dtype=dtype)  # type: ignore[call-arg]
    theirs.requires_grad_(False).train(False)
    prompt = torch.randint(0, config.vocab_size, (1, max(lengths)))
    speeds = {
        tokens: tokens / fastest(partial(theirs, prompt[:, :tokens], logits_to_keep=1), 2 * READINGS, "cpu")
        for tokens in lengths
    }
    with torch.inference_mode():
        cache = theirs(prompt[:, :16], use_cache=True).cache_params
    seconds = fastest(lambda: theirs(prompt[:, :1], cache_params=cache, use_cache=True), 8, "cpu")
    return speeds, 1 / seconds


if __name__ == "__main__":
    for found in (*taggers("--quick" in sys.argv), *language_models("--quick" in sys.argv)):
        print(json.dumps(found))
