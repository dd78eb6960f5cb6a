"""SAM as a whole: windows in any batch, state in any cut, words from what was heard."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from samcli.models.encoders.nano import NanoConfig
from samcli.models.interface import Encoding
from samcli.models.listener_state import combine_tags, next_to_say, no_tags, onset, summarise
from samcli.models.sam import Listener, SamConfig, SamNetwork, stack_steps
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.phi import PhiConfig

CONFIG = SamConfig(
    encoder=NanoConfig(
        trunk="tiny",
        hidden=16,
        layers=1,
        mixer=BidirectionalConfig(d_model=16, d_state=8, head_dim=8),
        classes=5,
    ),
    language=LanguageConfig(d_model=32, n_layer=2, vocab_size=64, d_state=8, headdim=8),
    stack=4,
    reads_tags=True,
)


PHI = replace(CONFIG, language=PhiConfig(32, 2, 64, d_state=8, heads=4, qk_heads=4, block="llama"))


def build(config: SamConfig = CONFIG) -> SamNetwork:
    torch.manual_seed(0)
    network = SamNetwork(config)
    nn.init.uniform_(network.tag_reader.lexicon.weight)
    return network.eval().double()


def test_stacking_pads_and_masks() -> None:
    features = torch.arange(2 * 5 * 2, dtype=torch.float32).view(2, 5, 2) + 1
    stacked, lengths = stack_steps(features, torch.tensor([5, 3]), 4)
    assert stacked.shape == (2, 2, 8)
    assert lengths.tolist() == [2, 1]
    assert stacked[0, 0].tolist() == features[0, :4].flatten().tolist()
    assert stacked[1, 0, 6:].tolist() == [0, 0] and stacked[1, 1].abs().sum() == 0


def test_embeddings_of_a_padded_batch_equal_rows_alone() -> None:
    network = build()
    frames = torch.tensor([90, 33])
    mel = torch.randn(2, 90, 128, dtype=torch.float64)
    _, together, counts = network.encode_and_embed(mel, frames)
    for row, count in enumerate(frames.tolist()):
        _, alone, single = network.encode_and_embed(mel[row : row + 1, :count])
        assert int(counts[row]) == int(single[0]) == alone.shape[1]
        assert torch.allclose(together[row, : int(counts[row])], alone[0], atol=1e-10)


@pytest.mark.parametrize("config", [CONFIG, PHI])
def test_state_over_windows_does_not_depend_on_batching(config: SamConfig) -> None:
    listener = Listener(build(config), None, ["a"] * 5, "test", "0")
    listener.tasks = frozenset({"caption"})
    listener.tokenizer = object()  # type: ignore[assignment]  # only its presence is asked here
    windows = torch.randn(3, 16000, dtype=torch.float64).float()
    lengths = torch.tensor([16000, 16000, 9000])
    listener.network.float()
    batched = listener.encode(windows, lengths)

    def row(encoding: Encoding, i: int) -> Encoding:
        return Encoding(*(part[i : i + 1] if part is not None else None for part in encoding))

    state = None
    for i in range(3):
        state = listener.listen(row(batched, i), state)
    again = None
    for i in range(3):
        samples = int(lengths[i])
        again = listener.listen(listener.encode(windows[i : i + 1, :samples], lengths[i : i + 1]), again)
    for one, other in zip(state.memory, again.memory, strict=True):
        assert torch.allclose(one.ssm, other.ssm, atol=1e-4)
    for one, other in zip(state.tags, again.tags, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_what_was_heard_lately_or_early_fades() -> None:
    steps = torch.zeros(1, 50, 5)
    steps[0, 0, 0] = steps[0, 49, 1] = 0.8
    first = summarise(steps, steps.amax(1), torch.tensor([50]), 0.08)
    assert first.recent[0, 1] == pytest.approx(0.8) and first.recent[0, 0] == pytest.approx(0.8 * math.exp(-0.98))
    assert first.early[0, 0] == pytest.approx(0.8) and first.early[0, 1] == pytest.approx(0.8 * math.exp(-0.98))
    assert onset(first)[0, :2].tolist() == pytest.approx([0.0, 49 * 0.08], abs=1e-4)
    whole = combine_tags(first, first)
    twice = summarise(torch.cat([steps, steps], 1), steps.amax(1), torch.tensor([100]), 0.08)
    for one, other in zip(whole, twice, strict=True):
        assert torch.allclose(one, other)


def test_a_soft_sound_has_its_place_in_time_too() -> None:
    steps = torch.zeros(1, 100, 3)
    steps[0, 10, 0] = 0.1  # faintly at first, plainly later: it is heard from where it is nearly as plain as ever
    steps[0, 60:, 0] = steps[0, 30:40, 1] = 0.9
    when = onset(summarise(steps, steps.amax(1), torch.tensor([100]), 0.08))[0]
    assert when[:2].tolist() == pytest.approx([4.8, 2.4], abs=1e-4)
    assert onset(no_tags(1, torch.device("cpu"), 3)).isfinite().all()


def test_the_next_to_say_is_the_earliest_that_was_not_said() -> None:
    heard, when = torch.tensor([[0.5, 0.8, 0.0]]), torch.tensor([[1.0, 5.0, 0.0]])
    nothing, spoken = torch.zeros(1, 3), torch.tensor([[9.0, 0.0, 0.0]])
    first, second, silent = next_to_say(heard, when, nothing)[0].tolist()
    assert first > 0.9 and second < 0.3 and silent == 0, "the earlier of two comes first, though it is softer"
    first, second, _ = next_to_say(heard, when, spoken)[0].tolist()
    assert first < 0.01 and second == pytest.approx(0.8, abs=1e-3), "then the other one"
    together = next_to_say(heard, torch.full((1, 3), 2.0), nothing)
    assert torch.allclose(together, heard), "of sounds at one time none is before the other"


def test_a_window_shorter_than_a_frame_is_heard() -> None:
    listener = Listener(build().float(), None, ["a"] * 5, "test", "0")
    encoding = listener.encode(torch.zeros(1, 10), torch.tensor([10]))
    assert encoding.lengths.tolist() == [1]
