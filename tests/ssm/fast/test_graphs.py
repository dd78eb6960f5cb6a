"""Captured steps, with a graph that is played by the processor: it repeats its work on the memory of its capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from samcli.ssm.fast import graphs
from samcli.ssm.fast.graphs import Captures
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.state import State, map_state


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.device]]:
    """Graphs on the processor; the devices they were captured on."""
    found: list[torch.device] = []

    def record(work: Callable[[], None], device: torch.device, pool: Any) -> Callable[[], None]:
        found.append(device)
        work()
        return work

    monkeypatch.setattr(graphs, "record", record)
    monkeypatch.setattr(graphs, "new_pool", lambda device: object())
    yield found


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(3)
    return LanguageModel(LanguageConfig(32, 2, 40, d_state=8, headdim=16)).double().eval().requires_grad_(False)


@pytest.fixture
def captures(model: LanguageModel) -> Captures:
    return Captures(model.plain_step)


def begun(model: LanguageModel, rows: int, seed: int = 0) -> State:
    return model.prefill(torch.randint(0, 40, (rows, 6), generator=torch.Generator().manual_seed(seed)))[1]


def said(step: Callable[..., tuple[Tensor, State]], state: State, rows: int, owned: bool, tokens: int = 5) -> Tensor:
    """The scores of some steps, one token after the other."""
    found = []
    for t in range(tokens):
        logits, state = step(torch.arange(rows) + t, state, owned and t > 0)
        found.append(logits)
    return torch.stack(found)


@pytest.mark.parametrize("owned", [False, True])
def test_captured_steps_are_plain_steps(model: LanguageModel, captures: Captures, owned: bool) -> None:
    for rows in (3, 1, 5, 4):
        expected = said(lambda tokens, state, _: model.plain_step(tokens, state), begun(model, rows), rows, owned)
        assert torch.allclose(said(captures.step, begun(model, rows), rows, owned), expected, atol=1e-5)


def test_few_sizes_are_captured(model: LanguageModel, captures: Captures, played: list[torch.device]) -> None:
    """A graph for every power of two, and the memory of the largest for all of them."""
    for rows in (8, 7, 6, 5, 4, 3, 2, 1):
        said(captures.step, begun(model, rows), rows, owned=True, tokens=2)
    assert len(played) == 4
    places = {graphs.first_leaf(graph.state).data_ptr() for graph in captures._graphs.values()}
    assert len(places) == 1


def test_two_generations_side_by_side(model: LanguageModel, captures: Captures) -> None:
    """Neither is overwritten by the other."""
    plain = [begun(model, 2, seed) for seed in (1, 2)]
    ours = [begun(model, 2, seed) for seed in (1, 2)]
    for t in range(4):
        tokens = torch.tensor([t, t + 1])
        for i in range(2):
            expected, plain[i] = model.plain_step(tokens, plain[i])
            logits, ours[i] = captures.step(tokens, ours[i], t > 0)
            assert torch.allclose(logits, expected, atol=1e-5)


def test_what_is_handed_out_does_not_change(model: LanguageModel, captures: Captures) -> None:
    logits, state = captures.step(torch.tensor([1, 2]), begun(model, 2))
    before, kept = logits.clone(), map_state(torch.clone, state)
    captures.step(torch.tensor([3, 4]), state)
    assert torch.equal(before, logits)
    assert all(torch.equal(a, b) for x, y in zip(kept, state, strict=True) for a, b in zip(x, y, strict=True))


def test_memory_of_inference_mode_serves_later(model: LanguageModel, captures: Captures) -> None:
    """Captured first in inference mode, used under no_grad: the memory must not be inference tensors."""
    with torch.inference_mode():
        first = said(captures.step, begun(model, 2), 2, owned=True)
    with torch.no_grad():
        assert torch.equal(said(captures.step, begun(model, 2), 2, owned=True), first)


def test_fewer_rows_of_an_owned_state_go_on(model: LanguageModel, captures: Captures) -> None:
    """What lies in the common memory is still right after a smaller graph was captured in it."""
    tokens = torch.tensor([1, 2, 3])
    _, ours = captures.step(tokens, begun(model, 3))
    _, ours = captures.step(tokens, ours, True)
    _, plain = model.plain_step(tokens, begun(model, 3))
    _, plain = model.plain_step(tokens, plain)
    ours = map_state(lambda leaf: leaf[:1], ours)
    expected, _ = model.plain_step(tokens[:1], map_state(lambda leaf: leaf[:1], plain))
    assert torch.allclose(captures.step(tokens[:1], ours, True)[0], expected, atol=1e-5)


def test_short_of_memory_steps_go_on_without(
    model: LanguageModel, captures: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*anything: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(graphs, "record", full)
    expected = said(lambda tokens, state, _: model.plain_step(tokens, state), begun(model, 2), 2, True)
    assert torch.allclose(said(captures.step, begun(model, 2), 2, True), expected, atol=1e-5)
    assert captures._memory is None


def test_a_step_that_cannot_be_captured_is_taken_without(
    model: LanguageModel, captures: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried once, and told at the end of the run; words are never lost to it."""
    tries: list[Any] = []

    def impossible(*anything: Any) -> None:
        tries.append(anything)
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(graphs, "record", impossible)
    monkeypatch.setattr(graphs, "refused", [])
    expected = said(lambda tokens, state, _: model.plain_step(tokens, state), begun(model, 2), 2, True)
    assert torch.allclose(said(captures.step, begun(model, 2), 2, True), expected, atol=1e-5)
    assert torch.allclose(said(captures.step, begun(model, 2), 2, False), expected, atol=1e-5)
    assert len(tries) == 1 and graphs.refused == ["operation not permitted when stream is capturing"]


def test_captures_are_the_first_to_go(model: LanguageModel, captures: Captures) -> None:
    from samcli.engine.batches import release_memory

    captures.step(torch.tensor([1]), begun(model, 1))
    assert captures._memory is not None
    release_memory()
    assert captures._memory is None and not captures._graphs


def test_a_capture_happens_on_the_device_of_its_state(
    model: LanguageModel, captures: Captures, played: list[torch.device]
) -> None:
    captures.step(torch.tensor([1]), begun(model, 1))
    assert played == [torch.device("cpu")]


def test_recording_and_replay_name_their_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """On cuda:1 both happen there, whichever card is the current one."""
    monkeypatch.undo()
    current: list[Any] = []
    happened: list[tuple[str, Any]] = []

    class On:
        def __init__(self, device: Any) -> None:
            self.device = device

        def __enter__(self) -> None:
            current.append(self.device)

        def __exit__(self, *error: object) -> None:
            current.pop()

    class Stream:
        def __init__(self) -> None:
            self.card = current[-1]

        def wait_stream(self, other: Any) -> None:
            happened.append(("wait", current[-1]))

    class Graph:
        def replay(self) -> None:
            happened.append(("replay", current[-1]))

    class Capture(On):
        def __init__(self, graph: Graph, pool: Any, stream: Stream, capture_error_mode: str) -> None:
            assert capture_error_mode == "thread_local"  # decoders and encoders go on in other threads
            assert stream.card == current[-1]  # PyTorch's own for captures stays with the first card
            super().__init__(current[-1])

    for name, stand_in in {
        "device": On, "Stream": Stream, "current_stream": Stream, "stream": lambda stream: On(current[-1]),
        "CUDAGraph": Graph, "graph": Capture,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)
    card = torch.device("cuda:1")
    replay = graphs.record(lambda: happened.append(("work", current[-1])), card, None)
    replay()
    assert {place for _, place in happened} == {card} and not current
    assert [name for name, _ in happened].count("work") == graphs.WARM_UP + 1 and happened[-1] == ("replay", card)
