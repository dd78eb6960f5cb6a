"""Hearing and writing: the same however the sound comes, with a state that does not grow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from samcli.models.speech import (
    MOST_AT_ONCE,
    SIZES,
    STACK,
    Hearing,
    Recogniser,
    SpeechConfig,
    SpeechNetwork,
    Speller,
    Written,
)
from samcli.records import Word
from samcli.ssm.state import size_in_bytes

CONFIG = SpeechConfig(" abc", d_model=16, encoder_layers=2, decoder_layers=1, d_state=8, headdim=8, joint=16)


@pytest.fixture(scope="module")
def network() -> SpeechNetwork:
    """One that writes now and then, and what depends on what it hears and has written."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = SpeechNetwork(CONFIG).eval().requires_grad_(False)
        network.out.weight *= 6
        network.out.bias[0] += 2.5
    return network


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.uniform(0, 0.3, 60), 1600)
    return (rng.standard_normal(len(loud)) * loud).astype(np.float32)


def heard(network: SpeechNetwork, wave: np.ndarray, size: int) -> list[Written]:
    blocks = (wave[at : at + size] for at in range(0, len(wave), size))
    return [one for some in Recogniser(network).written(blocks) for one in some]


def test_any_cutting_writes_the_same(network: SpeechNetwork, wave: np.ndarray) -> None:
    whole = heard(network, wave, len(wave))
    assert 5 < len(whole) < 200 and len({one.symbol for one in whole}) > 1
    assert [one.step for one in whole] == sorted(one.step for one in whole)
    for size in (777, 16_000, 40_961):
        assert heard(network, wave, size) == whole


def test_hearing_goes_on_and_rows_do_not_disturb_each_other(network: SpeechNetwork) -> None:
    frames = torch.randn(2, 40 * STACK, 128) * 3 - 7
    whole, _ = network.hear(frames)
    first, state = network.hear(frames[:, : 13 * STACK])
    second, _ = network.hear(frames[:, 13 * STACK :], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-4, atol=1e-5)
    alone, _ = network.hear(frames[1:, : 20 * STACK])
    ragged, _ = network.hear(frames, lengths=torch.tensor([40, 20]))
    torch.testing.assert_close(ragged[1:, :20], alone, rtol=1e-4, atol=1e-5)


def test_what_was_written_is_read_on(network: SpeechNetwork) -> None:
    symbols = torch.tensor([[0, 1, 2, 3, 1, 4]])
    whole, _ = network.read(symbols)
    state, parts = None, []
    for at in range(symbols.shape[1]):
        part, state = network.read(symbols[:, at : at + 1], state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-5)


def test_a_state_does_not_grow_and_no_block_is_kept(network: SpeechNetwork) -> None:
    recogniser, state, sizes = Recogniser(network), Hearing(), []
    for _ in range(5):
        _, state = recogniser.hear(torch.randn(16 * STACK, 128) * 3 - 7, state)
        assert state.encoder is not None and state.decoder is not None
        sizes.append(size_in_bytes(state.encoder) + size_in_bytes(state.decoder))
    assert len(set(sizes)) == 1 and state.steps == 80
    given = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal given
        for _ in range(60):
            given += 1
            yield np.zeros(1600, np.float32)

    stretches = recogniser.written(blocks())
    next(stretches)
    assert given < 40, "it is told before all has come"


def test_nobody_speaks_quicker_than_that(network: SpeechNetwork, wave: np.ndarray) -> None:
    bias = network.out.bias.clone()
    network.out.bias[0] -= 1000  # it never hears on by itself
    try:
        steps = [one.step for one in heard(network, wave[:3200], 3200)]
    finally:
        network.out.bias.copy_(bias)
    assert max(steps.count(step) for step in steps) == MOST_AT_ONCE and len(set(steps)) == max(steps) + 1


def test_symbols_become_words_with_times() -> None:
    speller = Speller(delay=2)
    begun = [Written("a", 4), Written("b", 6), Written(" ", 9), Written(" ", 9), Written("c", 12)]
    assert speller.push(begun) == [Word("ab", 0.08, 0.2)]
    assert speller.push([]) == []
    assert speller.finish() == [Word("c", 0.4, 0.44)] and speller.finish() == []


def test_sizes_are_what_they_say() -> None:
    counts = {}
    for name, config in SIZES.items():
        with torch.device("meta"):
            counts[name] = sum(p.numel() for p in SpeechNetwork(config).parameters())
    assert 0.2e6 < counts["tiny"] < 0.5e6 and counts["small"] < counts["base"]
    assert 200e6 < counts["large"] < 400e6
