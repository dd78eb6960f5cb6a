"""What a card does when the default model speaks: one captured step a token, beams beside it, no waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from samcli.api import Sam
from samcli.audio.decode import read_sound
from samcli.checkpoints.loading import load_model
from samcli.engine.hearing import hear
from samcli.models.device import suit_card
from samcli.models.listener_state import SpeakingState, TagContext, TagGuidedSpeaker, TagReader
from samcli.ssm.fast import beams, graphs, kernels
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


@pytest.fixture(scope="module")
def waves() -> list[Any]:
    return [read_sound(path, 32_000) for path in DEMO]


def test_the_default_model_speaks_by_captured_steps(recorded: list[Any], waves: list[Any], monkeypatch: Any) -> None:
    """With its tags, its lexicon and its two beams; says what it says without, and captures once for all calls."""
    model = load_model("sam-nano", device="cpu")
    found = [[heard.texts for heard in hear(model, waves, [[""]] * len(waves))] for _ in range(2)]
    assert len(recorded) == 1 and found[0] == found[1] and all(texts[0] for texts in found[0])
    monkeypatch.undo()
    plain = load_model("sam-nano", device="cpu")
    assert [heard.texts for heard in hear(plain, waves, [[""]] * len(waves))] == found[0]


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


class Waits(TorchDispatchMode):
    """Notes what makes a processor wait for a card: numbers read, sizes that depend on them, lists sent over."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "lift_fresh", "_to_copy.device")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found += [str(function) for name in self.WAITING if name in str(function)]
        return function(*args, **(kwargs or {}))


@torch.no_grad()
def test_a_step_of_the_voice_asks_the_card_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_forced", "torch")  # a card has none of the processor's loops
    language = LanguageModel(LanguageConfig(32, 2, 40, d_state=8, headdim=16)).requires_grad_(False)
    size = language.config.padded_vocab_size
    voice = TagGuidedSpeaker(language, TagReader(7, 32, size).requires_grad_(False))
    context = TagContext(*(torch.rand(4, *shape) for shape in ((7,), (7,), (32,), (size, 3), (size,))))
    state, tokens = SpeakingState(language.initial_state(4), context, torch.zeros(4, 7)), torch.tensor([1, 2, 3, 4])
    with Waits() as waits:
        logits, _ = voice.step(tokens, state, True)
        assert waits.found == []
        bool(logits.any())  # it would be seen
        logits[torch.tensor([0, 1])]
    assert len(waits.found) == 2
