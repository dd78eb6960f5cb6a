"""Rows shared out among cores: the same results in the same order, and nothing left behind on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from toy import Toy

from samcli.audio.decode import read_sound
from samcli.checkpoints.loading import load_model
from samcli.engine.cores import FEWEST_SPEAKERS, Cores, encoded
from samcli.engine.rows import gather_encodings, rows_of
from samcli.engine.windows import Wave
from samcli.models.interface import Encoding, SoundModel, SpeakOptions

CPU = torch.device("cpu")
NOISE = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
DEMO = Path(__file__).parents[2] / "samcli/data/demo"


def encode(cores: Cores, model: SoundModel, waves: Sequence[Wave], length: int) -> Encoding:
    """A batch, computed in parts."""
    parts = cores.begin(len(waves), lambda part: encoded(model, waves[part], length, cores.device)).results()
    return (
        parts[0]
        if len(parts) == 1
        else gather_encodings([row for part in parts for row in rows_of(part, len(part.lengths))])
    )


class Watched(Toy):
    """Notes down who computes how many rows."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[tuple[str, int, str, int, bool]] = []

    def note(self, what: str, rows: int) -> None:
        name = threading.current_thread().name
        self.work.append((what, rows, name, torch.get_num_threads(), torch.is_inference_mode_enabled()))

    def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
        self.note("encode", len(waves))
        time.sleep(0.05)  # long enough for every core to take its part
        return super().encode(waves, lengths)

    def speak(self, state: Tensor, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        self.note("speak", len(prompts))
        return super().speak(state, prompts, options)


@pytest.mark.parametrize("rows", [1, 2, 7, 40])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_parts_make_the_whole(rows: int, count: int) -> None:
    toy, alone, shared = Toy(), Cores(CPU, 1), Cores(CPU, count)
    chance = np.random.default_rng(rows)
    waves = [chance.standard_normal(300 * row + 2000).astype(np.float32) for row in range(rows)]
    found = []
    for cores in (alone, shared):
        encoding = encode(cores, toy, waves, 16_000)
        first = cores.listen(toy, encoding, None)
        second = cores.listen(toy, encoding, first)
        assert encoding.clip_logits is not None
        texts = cores.speak(toy, second, [f"question {row}" for row in range(rows)], SpeakOptions())
        found.append((encoding.lengths, encoding.clip_logits, first, second, texts))
    for one, other in zip(*found, strict=True):
        assert one == other if isinstance(one, list) else torch.allclose(one, other, atol=1e-6)


def test_every_core_takes_its_part() -> None:
    toy, before = Watched(), torch.get_num_threads()
    cores = Cores(CPU, 4)
    encode(cores, toy, [NOISE] * 6, 16_000)
    assert sorted(work[1] for work in toy.work) == [1, 1, 2, 2]
    assert len({work[2] for work in toy.work}) == 4, "four threads"
    assert {work[3:] for work in toy.work} == {(1, True)}, "each with one core, and without a graph of gradients"
    toy.work.clear()
    encode(cores, toy, [NOISE] * 2, 16_000)
    assert [work[1:2] + work[3:4] for work in toy.work] == [(1, 2), (1, 2)], "fewer parts, more cores for each"
    toy.work.clear()
    cores.speak(toy, torch.randn(2 * FEWEST_SPEAKERS + 1, 8), [""] * (2 * FEWEST_SPEAKERS + 1), SpeakOptions())
    assert sorted(work[1] for work in toy.work) == [FEWEST_SPEAKERS, FEWEST_SPEAKERS + 1]
    assert torch.get_num_threads() == before


def test_a_gpu_takes_all_rows_at_once() -> None:
    toy, rows = Watched(), 4 * FEWEST_SPEAKERS
    gpu = Cores(torch.device("cuda"), 4)
    gpu.device = CPU  # where its windows would go: none is needed to see who takes them
    encode(gpu, toy, [NOISE] * 6, 16_000)
    assert [work[:2] + work[4:] for work in toy.work] == [("encode", 6, True)]
    toy.work.clear()
    gpu.speak(toy, torch.randn(rows, 8), [""] * rows, SpeakOptions())
    assert [work[:2] + work[4:] for work in toy.work] == [("speak", rows, True)]


def test_threads_of_the_second_card_are_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned memory and streams belong to a thread's current card, which is the first one unless it is told."""
    told: list[object] = []
    monkeypatch.setattr(torch.cuda, "set_device", told.append)
    Cores(torch.device("cuda:1")).begin(1, lambda part: None).results()
    Cores(torch.device("cuda")).begin(1, lambda part: None).results()
    assert told == [torch.device("cuda:1")]


def test_a_gpu_has_two_batches_in_flight() -> None:
    """While the results of one are awaited, the next is laid out and launched."""
    gpu, both = Cores(torch.device("cuda")), threading.Barrier(2)

    def work(part: slice) -> int:
        both.wait(60)  # passes only where both are under way
        return part.stop

    batches = [gpu.begin(rows, work) for rows in (3, 5)]
    assert [batch.results() for batch in batches] == [[3], [5]]


def test_a_part_that_fails_fails_the_batch_when_all_are_done() -> None:
    class Failing(Toy):
        done = 0

        def encode(self, waves: Tensor, lengths: Tensor) -> Encoding:
            if waves.abs().max() > 1:
                raise MemoryError
            time.sleep(0.2)
            self.done += 1
            return super().encode(waves, lengths)

    toy, cores = Failing(), Cores(CPU, 2)
    with pytest.raises(MemoryError):
        encode(cores, toy, [np.full(16_000, 2.0, np.float32), np.full(16_000, 0.5, np.float32)], 16_000)
    assert toy.done == 1, "its memory is free when the batch is tried again"


def test_a_core_that_is_through_goes_on_with_the_next_batch() -> None:
    cores, first_may_end = Cores(CPU, 2), threading.Event()

    def first(part: slice) -> str:
        if part.start == 0:
            assert first_may_end.wait(20)
        return f"first {part.start}"

    def second(part: slice) -> str:
        return f"second {part.start}"

    batches = [cores.begin(2, first), cores.begin(2, second)]
    assert batches[1].results() == ["second 0", "second 1"], "while a part of the first is still under way"
    assert not batches[0].done()
    first_may_end.set()
    assert batches[0].results() == ["first 0", "first 1"] and batches[0].done()


def test_what_is_too_small_to_share_is_computed_at_once() -> None:
    def fail(part: slice) -> None:
        raise ValueError("never")

    begun = Cores(CPU, 2).begin(1, lambda part: threading.current_thread().name)
    assert begun.done() and begun.results() == ["MainThread"]
    failed = Cores(CPU, 2).begin(1, fail)
    with pytest.raises(ValueError, match="never"):
        failed.results()


def test_real_words_are_the_same() -> None:
    model = load_model("sam-nano", device="cpu")
    sounds = [read_sound(path, model.sample_rate)[:80_000] for path in sorted(DEMO.glob("*.opus"))]
    waves = [part for sound in sounds for part in np.split(sound, range(20_000, len(sound), 20_000))]
    assert 4 * len(waves) >= 2 * FEWEST_SPEAKERS
    texts, scores = [], []
    for cores in (Cores(CPU, 1), Cores(CPU, 3)):
        encoding = encode(cores, model, waves, 20_000)
        state = cores.listen(model, encoding, cores.listen(model, encoding, None))
        repeated = model.select(state, [row for row in range(len(waves)) for _ in range(4)])
        texts.append(cores.speak(model, repeated, [""] * 4 * len(waves), SpeakOptions(max_new_tokens=12)))
        assert encoding.clip_logits is not None
        scores.append(encoding.clip_logits.sigmoid())
    assert texts[0] == texts[1] and len(set(texts[0])) > 1
    assert torch.allclose(scores[0], scores[1], atol=1e-5)
