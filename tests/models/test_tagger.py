"""Taggers behind the common interface: any length, rows apart, refusals that show a way out."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from samcli.audio.fbank import log_mel
from samcli.errors import ModelError
from samcli.models.encoders.base import Encoder
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.models.encoders.eat import Eat, EatConfig
from samcli.models.encoders.ssamba import Ssamba, SsambaConfig
from samcli.models.interface import SpeakOptions
from samcli.models.tagger import Tagger

RATE = 16_000
# small windows of 64 frames (0.64 s), so that long sounds are cheap
DASS = DassConfig(widths=(4, 8, 8, 8), depths=(1, 1, 1, 1), classes=5, window_frames=64)
EAT = EatConfig(width=16, layers=2, heads=2, max_steps=20, classes=5, window_frames=64)
SSAMBA = SsambaConfig(width=16, layers=2, table_steps=4, classes=5, window_frames=64, pretraining=False)
ENCODERS = {
    "dass": lambda: Dass(DASS),
    "eat": lambda: Eat(EAT),
    "ssamba": lambda: Ssamba(SSAMBA),
    "ssamba, overlapping": lambda: Ssamba(replace(SSAMBA, stride=10)),
}
LABELS = ("rain", "wind", "bird", "dog", "bell")


def tagger(kind: str) -> Tagger:
    torch.manual_seed(4)
    encoder: Encoder = ENCODERS[kind]()
    with torch.no_grad():  # the defaults leave norms, biases and class tokens at 0 and 1
        for parameter in encoder.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return Tagger(encoder, name=kind, revision="r", labels=LABELS)


def sounds(*seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(8)
    lengths = torch.tensor([int(second * RATE) for second in seconds])
    waves = 0.3 * torch.randn(len(seconds), int(lengths.max()), generator=chance)
    return waves * (torch.arange(waves.shape[1]) < lengths[:, None]), lengths


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_rows_ignore_padding_and_neighbours(kind: str) -> None:
    model = tagger(kind)
    waves, lengths = sounds(0.5, 0.63, 0.1, 0.03, 0.01)
    together = model.encode(waves, lengths)
    assert together.clip_logits is not None and together.clip_logits.shape == (5, 5)
    for row, length in enumerate(lengths.tolist()):
        alone = model.encode(waves[row : row + 1, :length], lengths[row : row + 1])
        steps = int(together.lengths[row])
        assert steps == int(alone.lengths[0]) >= 1
        torch.testing.assert_close(alone.clip_logits[0], together.clip_logits[row], rtol=0, atol=1e-5)
        torch.testing.assert_close(alone.features[0, :steps], together.features[row, :steps], rtol=0, atol=5e-5)


@pytest.mark.parametrize("kind", list(ENCODERS))
def test_long_sounds_are_their_windows(kind: str) -> None:
    """A row of three windows and a bit among short ones: steps in order, each class as in its best window."""
    model = tagger(kind)
    waves, lengths = sounds(0.4, 2.2, 1.0)
    together = model.encode(waves, lengths)
    assert together.clip_logits is not None
    mel, window = log_mel(waves[1:2]), 64
    parts = [model.encoder(mel[:, start : start + window]) for start in range(0, mel.shape[1], window)]
    best = torch.stack([part.clip_logits[0] for part in parts]).amax(0)
    torch.testing.assert_close(together.clip_logits[1], best, rtol=0, atol=1e-5)
    steps = torch.cat([part.features[0, : int(part.lengths[0])] for part in parts])
    assert int(together.lengths[1]) == len(steps)
    torch.testing.assert_close(together.features[1, : len(steps)], steps, rtol=0, atol=1e-5)
    alone = model.encode(waves[:1, : int(lengths[0])], lengths[:1])
    torch.testing.assert_close(together.clip_logits[:1], alone.clip_logits, rtol=0, atol=1e-5)


def test_dass_scores_time_steps() -> None:
    model = tagger("dass")
    assert model.step_seconds == pytest.approx(0.32)
    waves, lengths = sounds(0.5, 2.2)
    encoding = model.encode(waves, lengths)
    assert encoding.step_logits is not None
    assert encoding.step_logits.shape[:2] == encoding.features.shape[:2]
    assert encoding.lengths.tolist() == [2, 7]  # 48 and 218 frames of 32 a step


@pytest.mark.parametrize("kind", ["eat", "ssamba"])
def test_heads_without_time_axis_say_so(kind: str) -> None:
    model = tagger(kind)
    assert model.step_seconds is None and model.encode(*sounds(0.5)).step_logits is None


def test_encoders_read_rows_of_any_lengths_in_one_call() -> None:
    """Without the tagger: rows longer than the window are read at their own length, apart from the others."""
    for make in ENCODERS.values():
        torch.manual_seed(4)
        encoder = make().eval()
        mel = torch.randn(3, 200, 128)
        frames = torch.tensor([40, 200, 100])
        with torch.no_grad():
            together = encoder(mel, frames)
            for row in range(3):
                alone = encoder(mel[row : row + 1, : frames[row]])
                steps = int(alone.lengths[0])
                assert steps == int(together.lengths[row])
                torch.testing.assert_close(together.clip_logits[row], alone.clip_logits[0], rtol=0, atol=1e-5)
                torch.testing.assert_close(together.features[row, :steps], alone.features[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "mean", "std"),
    [(DassConfig(), -4.2677393, 4.5689974), (EatConfig(), -4.268, 4.569), (SsambaConfig(), -4.2677393, 4.5689974)],
)
def test_normalisation_divides_by_two_deviations(config: Any, mean: float, std: float) -> None:
    assert config.mel_mean == mean and config.mel_scale == 2 * std


def test_what_lies_behind_the_end_is_zero_before_normalising() -> None:
    """As the authors pad: zeros among the log energies, then (x - mean) / scale."""
    encoder = Dass(DASS)
    seen: list[torch.Tensor] = []
    encoder.read = lambda frames: (seen.append(frames), Dass.read(encoder, frames))[1]  # type: ignore[method-assign,func-returns-value]
    mel = torch.full((1, 50, 128), 3.0)
    encoder(mel, torch.tensor([40]))
    frames = seen[0]
    assert frames.shape == (1, 64, 128)
    assert torch.allclose(frames[0, :40], torch.tensor((3.0 + 4.2677393) / (2 * 4.5689974)))
    assert torch.allclose(frames[0, 40:], torch.tensor(4.2677393 / (2 * 4.5689974)))


def test_a_constant_offset_of_the_wave_is_not_heard() -> None:
    """The authors subtract the clip's mean; the filter bank's own removal makes that unnecessary."""
    model = tagger("eat")
    waves, lengths = sounds(0.6)
    torch.testing.assert_close(
        model.encode(waves + 0.2, lengths).clip_logits, model.encode(waves, lengths).clip_logits, rtol=0, atol=1e-3
    )


def test_half_precision_scores_in_single() -> None:
    model = tagger("dass")
    single = model.encode(*sounds(0.6)).clip_logits
    half = model.to(torch.bfloat16).encode(*sounds(0.6)).clip_logits
    assert half is not None and half.dtype == torch.float32
    torch.testing.assert_close(half, single, rtol=0.05, atol=0.1)


def test_a_tagger_refuses_to_speak_and_names_one_that_can() -> None:
    model = tagger("dass")
    assert model.tasks == {"tag"}
    encoding = model.encode(*sounds(0.5))
    for call in (
        lambda: model.listen(encoding, None),
        lambda: model.speak(None, [""], SpeakOptions()),
        lambda: model.speak(None, ["is it raining?"], SpeakOptions()),
        lambda: model.select(None, [0]),
        lambda: model.join([]),
    ):
        with pytest.raises(ModelError, match=r"dass cannot (caption|answer questions): it has no .*--model sam-nano"):
            call()


def test_an_encoder_without_head_cannot_tag() -> None:
    model = Tagger(Ssamba(replace(SSAMBA, classes=0)), name="ssamba-tiny", revision="r")
    assert model.tasks == frozenset() and model.encode(*sounds(0.5)).clip_logits is None


def test_labels_must_fit_the_head() -> None:
    with pytest.raises(ModelError, match="scores 5 classes but has names for 2"):
        Tagger(Dass(DASS), name="d", revision="r", labels=("a", "b"))


def test_the_mean_over_long_silence_is_finite() -> None:
    model = tagger("eat")
    waves = torch.from_numpy(np.zeros((1, RATE), dtype=np.float32))
    encoding = model.encode(waves, torch.tensor([RATE]))
    assert encoding.clip_logits is not None and encoding.clip_logits.isfinite().all()
