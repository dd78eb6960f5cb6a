"""What only a card can show: the default model end to end beside the processor's records, and the second card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.api import Sam
from samcli.audio.decode import read_sound
from samcli.checkpoints.loading import load_model
from samcli.engine.batches import release_memory
from samcli.engine.hearing import hear
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.generation import GenerationOptions, generate
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.report import disagreement
from samcli.ssm.triton import choice

DEVICE = os.environ.get("SAM_CHECK_DEVICE", "cuda")  # cpu: whether these tests run at all
THERE = DEVICE == "cpu" or torch.cuda.is_available()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not THERE, reason="no CUDA device")]
CARDS = ["cpu"] if DEVICE == "cpu" else [f"cuda:{index}" for index in range(torch.cuda.device_count())]
DEMO = sorted(map(str, Path(__file__).parents[2].glob("samcli/data/demo/*.opus")))
SIZES = {
    "130M": LanguageConfig(),
    "2.7B": LanguageConfig(d_model=2560, n_layer=1),
    "grouped": LanguageConfig(ngroups=4),
}


@pytest.mark.skipif(DEVICE == "cpu", reason="they are for cards")
@pytest.mark.parametrize("card", CARDS)
def test_our_kernels_run_on_every_card(card: str) -> None:
    assert choice.trouble(card) is None


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-2), (torch.bfloat16, 0.05), (torch.float16, 0.02)])
def test_published_sizes_beside_plain_float32(card: str, size: str, dtype: torch.dtype, near: float) -> None:
    assert disagreement(SIZES[size], card, dtype) < near


@pytest.mark.parametrize("card", CARDS)
def test_the_default_model_hears_what_the_processor_hears(card: str) -> None:
    here, there = (Sam(load_model("sam-nano", device=device)) for device in ("cpu", card))
    for one, other in zip(here.run(DEMO, "tag"), there.run(DEMO, "tag"), strict=True):
        assert one.tags and other.tags
        scores = {tag.label: tag.score for tag in other.tags}
        assert all(abs(scores.get(tag.label, 0.1) - tag.score) < 0.02 for tag in one.tags)
    waves = [read_sound(path, 32_000) for path in DEMO]
    texts = [[heard.texts for heard in hear(sam.model, waves, [[""]] * len(waves))] for sam in (here, there)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("beams", [1, 2, 4])
def test_captured_speech_after_inference_mode_and_short_memory(card: str, beams: int) -> None:
    """Captured under inference_mode, used under no_grad, dropped as when memory is short, captured again."""
    torch.manual_seed(0)
    model: Any = LanguageModel(LanguageConfig(128, 4, 50, d_state=64)).to(card).eval().requires_grad_(False)
    prompt = torch.randint(0, 50, (3, 12)).to(card)
    options = GenerationOptions(max_new_tokens=24, beams=beams, stop_tokens=(3,))
    with torch.inference_mode():
        first = generate(model, None, prompt, options)
    assert generate(model, None, prompt, options) == first
    release_memory()
    assert generate(model, None, prompt, options) == first


def test_memory_that_runs_out_halves_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real allocation that fails, in the middle of a run."""
    model: Any = load_model("sam-nano", device=DEVICE)
    encode, failed = model.encode, []

    def encode_or_fail(waves: torch.Tensor, lengths: torch.Tensor) -> Any:
        if len(waves) > 1:
            failed.append(len(waves))
            torch.empty(1 << 50, dtype=torch.uint8, device=DEVICE)
        return encode(waves, lengths)

    monkeypatch.setattr(model, "encode", encode_or_fail)
    records = list(Sam(model).run(DEMO, "tag"))
    assert failed and all(record.error is None for record in records)
