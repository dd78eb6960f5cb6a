"""One registry: a kind that joins it is saved, loaded, fed at its own rate and heard like the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.api import Sam
from samcli.audio.front_end import KALDI, FrontEnd
from samcli.checkpoints import format
from samcli.checkpoints.files import LOADABLE
from samcli.checkpoints.loading import load_model
from samcli.checkpoints.tiny import tiny_network, tiny_tokenizer
from samcli.engine.hearing import hear
from samcli.models.encoders.base import Encoder, EncoderKind
from samcli.models.encoders.registry import ENCODERS, build_encoder, recognise
from samcli.models.interface import Encoding
from samcli.models.sam import Listener
from samcli.models.tagger import Tagger


class Loudness(FrontEnd):
    """One value each 20 ms at 32 kHz; the last frame reaches past the end."""

    name, sample_rate, hop, bands = "loudness-32k", 32_000, 640, 1

    def counts(self, lengths: Tensor) -> Tensor:
        return (-(-lengths // self.hop)).clamp(min=1)

    def log_power(self, waves: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        waves = F.pad(waves, (0, max(self.hop - waves.shape[1], -waves.shape[1] % self.hop)))
        return waves.unflatten(1, (-1, self.hop)).square().mean(-1, keepdim=True).log(), self.counts(lengths)

    def read(self, log_power: Tensor) -> Tensor:
        return log_power.exp()


@dataclass(frozen=True)
class MeterConfig:
    classes: int = 2
    mel_bins: int = 1


class Meter(Encoder):
    """Its first class is loudness, its second quiet; a step is two frames."""

    front_end = Loudness()

    def __init__(self, config: MeterConfig) -> None:
        super().__init__()
        self.config, self.classes = config, config.classes
        self.width, self.bands, self.step_frames, self.window_frames = 2, 1, 2, 500
        self.scores_steps = True
        self.head = nn.Linear(2, config.classes)

    def forward(self, mel: Tensor, frames: Tensor | None = None) -> Encoding:
        frames = torch.full((len(mel),), mel.shape[1]) if frames is None else frames
        pairs = F.pad(mel, (0, 0, 0, mel.shape[1] % 2)).unflatten(1, (-1, 2)).squeeze(-1)  # (batch, steps, 2)
        lengths = -(-frames // 2)
        steps = self.head(pairs)
        behind = torch.arange(steps.shape[1]) >= lengths[:, None]
        return Encoding(pairs, lengths, steps.masked_fill(behind[..., None], -30.0).amax(1), steps)


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """A fresh one, and its kind in the registry."""
    kind = EncoderKind("meter", MeterConfig, Meter, nn.Identity)
    monkeypatch.setitem(ENCODERS, "meter", kind)
    monkeypatch.setitem(format.KINDS, "meter", format.Kind(MeterConfig, Meter))
    module = Meter(MeterConfig())
    with torch.no_grad():
        module.head.weight.copy_(torch.tensor([[200.0, 200.0], [-200.0, -200.0]]))
        module.head.bias.copy_(torch.tensor([-2.0, 2.0]))
    return module


def loud_then_quiet(rate: int) -> np.ndarray:
    """A second of a tone, then one of next to nothing."""
    time = np.arange(2 * rate) / rate
    return (np.sin(2 * np.pi * 440 * time) * np.where(time < 1, 0.5, 1e-4)).astype(np.float32)


def test_a_kind_of_its_own_rate_goes_all_the_way(meter: Meter, tmp_path: Path) -> None:
    format.save_module(tmp_path / "meter", meter, meter.config)
    (tmp_path / "meter" / "labels.json").write_text('["loud", "quiet"]')
    model = load_model(str(tmp_path / "meter"))
    assert isinstance(model, Tagger) and model.sample_rate == 32_000
    assert model.step_seconds == 0.04 and model.window_seconds == 10.0
    for rate in (16_000, 44_100):  # neither is the encoder's own: the engine resamples
        soundfile.write(tmp_path / f"{rate}.wav", loud_then_quiet(rate), rate)
        loud, quiet = Sam(model).timeline(tmp_path / f"{rate}.wav", threshold=0.6)
        assert [event.tags[0].label for event in (loud, quiet) if event.tags] == ["loud", "quiet"]
        assert loud.start == 0.0 and loud.end == quiet.start == 1.0 and quiet.end == loud.duration == 2.0


def test_waves_of_another_rate_are_brought_to_the_encoders_own(meter: Meter) -> None:
    """As the suites do, whose sounds are all at one rate."""
    model = Tagger(meter, name="meter", revision="", labels=("loud", "quiet"))
    own, other = (hear(model, [loud_then_quiet(rate)], rate=rate, steps=True)[0] for rate in (32_000, 16_000))
    for (_, _, one), (_, _, two) in zip(own.steps, other.steps, strict=True):
        assert one is not None and two is not None and one.shape == two.shape == (50, 2)
        assert np.abs(one - two)[:24].max() < 0.01 and np.abs(one - two)[26:].max() < 0.01


def test_a_listener_asks_its_encoder(meter: Meter) -> None:
    """No rate, hop or filter bank is known to it by heart."""
    tokenizer = tiny_tokenizer()
    network: Any = tiny_network(tokenizer)
    network.encoder, network.classes = meter, 2
    model = Listener(network, tokenizer, ("loud", "quiet"), "meter", "")
    assert (model.sample_rate, model.step_seconds) == (32_000, 0.04)
    wave = torch.from_numpy(loud_then_quiet(32_000))
    encoding = model.encode(wave[None], torch.tensor([len(wave)]))
    assert encoding.lengths.tolist() == [50] and encoding.clip_logits is not None
    assert (encoding.step_logits[0, :, 0] > 0).nonzero()[:, 0].tolist() == list(range(25))  # type: ignore[index]
    assert model.encode(torch.zeros(1, 3), torch.tensor([3])).lengths.tolist() == [1]


@pytest.mark.parametrize("name", list(ENCODERS))
def test_every_kind_is_described_in_full(name: str) -> None:
    kind = ENCODERS[name]
    module = build_encoder(kind.config(**SMALL[name]))
    assert isinstance(module, kind.encoder) and module.classes == module.config.classes == 3
    for size in kind.sizes.values():
        assert type(size) is kind.config
    steps, bands = module.grid()
    encoding = module.eval()(*module.features(torch.zeros(1, 1600), torch.tensor([1600])))
    assert encoding.features.shape == (1, int(encoding.lengths[0]), bands * module.width) and steps >= 1
    assert encoding.clip_logits.shape == (1, 3) and (encoding.step_logits is not None) == module.scores_steps
    assert any(isinstance(part, kind.block) for part in module.modules())
    assert all(hasattr(module, part) for part in module.head_parts)
    if kind.published is not None:
        assert recognise(["no such tensor"]) is None


def test_the_cache_lists_every_kind() -> None:
    """Its own list needs no torch."""
    assert format.KINDS.keys() <= LOADABLE


SMALL: dict[str, dict[str, Any]] = {
    "nano": {"layers": 1, "trunk": "tiny", "hidden": 16, "classes": 3},
    "eat": {"width": 16, "layers": 1, "heads": 2, "max_steps": 72, "classes": 3},
    "dass": {"widths": (4, 8), "depths": (1, 1), "classes": 3},
    "ssamba": {"width": 16, "layers": 2, "classes": 3},
    "aum": {"width": 16, "layers": 2, "classes": 3},
}


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 559, 560, 16_000])
def test_counts_are_of_the_frames_made(samples: int) -> None:
    wave = torch.randn(samples, generator=torch.Generator().manual_seed(0)) * 0.1
    frames, counts = KALDI.features(wave[None], torch.tensor([samples]))
    assert counts.tolist() == [frames.shape[1]] == [max(1, 1 + (samples - 400) // 160)]
    streamed = torch.cat(list(KALDI.stream(torch.split(wave, 77))))
    torch.testing.assert_close(streamed, frames[0], atol=1e-4, rtol=0)
