"""What a card does when the default model speaks: one captured step a token, beams beside it, no waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.api import Sam
from samcli.checkpoints.loading import load_model
from samcli.models.device import suit_card
from samcli.models.listener_state import SpeakingState, TagContext, TagGuidedSpeaker, TagReader
from samcli.ssm.card import beams, graphs
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel

DEMO = sorted(map(str, Path(__file__).parents[2].glob("samcli/data/demo/*.opus")))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A card that is played by the processor; where steps were captured."""
    found: list[torch.device] = []

    def record(work: Callable[[], None], device: torch.device, pool: Any) -> Callable[[], None]:
        found.append(device)
        return work

    monkeypatch.setattr(graphs, "applies", lambda weight: True)
    monkeypatch.setattr(graphs, "record", record)
    monkeypatch.setattr(graphs, "new_pool", lambda device: object())
    monkeypatch.setattr(beams, "applies", lambda logits: True)
    return found


def test_the_default_model_speaks_by_captured_steps(recorded: list[torch.device], monkeypatch: Any) -> None:
    """With its tags, its lexicon and its two beams; and says what it says without."""
    found = [record.text for record in Sam(load_model("sam-nano", device="cpu")).run(DEMO, "caption")]
    assert len(recorded) in (1, 2) and all(found)
    monkeypatch.undo()
    plain = Sam(load_model("sam-nano", device="cpu")).run(DEMO, "caption")
    assert [record.text for record in plain] == found


def test_one_voice_serves_all_calls(recorded: list[torch.device]) -> None:
    """What was captured for one call is there for the next."""
    sam = Sam(load_model("sam-nano", device="cpu"))
    texts = [sam.caption(DEMO[0]).text for _ in range(2)]
    assert texts[0] == texts[1] and len(recorded) == 1


def test_the_language_model_of_a_card_is_bfloat16_and_speaks() -> None:
    before = torch.backends.cuda.matmul.fp32_precision
    model: Any = load_model("sam-nano", device="cpu")
    try:
        suit_card(model.network)
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
        torch.backends.cudnn.conv.fp32_precision = before
    assert model.network.language.lm_head.weight.dtype is torch.bfloat16
    assert model.network.encoder.head.weight.dtype is torch.float32
    assert model.network.tag_reader.lexicon.weight.dtype is torch.float32
    assert Sam(model).caption(DEMO[0]).text


@torch.no_grad()
def test_a_step_of_the_voice_asks_the_card_nothing() -> None:
    """On tensors that hold no numbers, whoever reads one fails."""
    there = torch.device("meta")
    language = LanguageModel(LanguageConfig(32, 2, 40, d_state=8, headdim=16)).to(there)
    size = language.config.padded_vocab_size
    voice = TagGuidedSpeaker(language, TagReader(7, 32, size).to(there))

    def nothing(*shape: int) -> torch.Tensor:
        return torch.empty(4, *shape, device=there)

    context = TagContext(nothing(7), nothing(7), nothing(32), nothing(size, 3), nothing(size))
    tokens = torch.empty(4, dtype=torch.long, device=there)
    logits, new = voice.step(tokens, SpeakingState(language.initial_state(4), context, nothing(7)), True)
    assert logits.shape == (4, size) and logits.device == new.said.device == there
    with pytest.raises((RuntimeError, NotImplementedError)):
        bool(logits.any())  # it would be seen
