"""The blocks with our kernels in them say what plain PyTorch says, and take the kernels where they should."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from samcli.checkpoints.loading import load_model
from samcli.models.listener_state import SpeakingState, TagGuidedSpeaker, no_tags
from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2
from samcli.ssm.fast.graphs import CardDecoder
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.mamba import Mamba, MambaConfig
from samcli.ssm.state import State, map_state
from samcli.ssm.triton import choice
from tests.ssm.triton.cases import Chance, difference, plain

pytest.importorskip("triton", reason="Triton is not installed: pip install '.[test-gpu]'")


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of kernels that were launched."""
    found: list[str] = []

    def counted(kernel: Any, grid: Any, first: torch.Tensor, *arguments: Any, **meta: Any) -> None:
        found.append(kernel.fn.__name__ if hasattr(kernel, "fn") else str(kernel))
        launch(kernel, grid, first, *arguments, **meta)

    from samcli.ssm.triton import first_order, launching, norms, ssd, step, two_way

    launch = launching.launch
    for module in (first_order, norms, ssd, step, two_way):
        monkeypatch.setattr(module, "launch", counted)
    return found


def language(device: str, dtype: torch.dtype = torch.float32, **sizes: Any) -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageConfig(32, 1, 40, **{"d_state": 8, "headdim": 32} | sizes)
    return LanguageModel(config).to(device, dtype).eval().requires_grad_(False)


@pytest.mark.parametrize("sizes", [{}, {"ngroups": 2}, {"layer": "mamba"}])
@torch.no_grad()
def test_a_language_model_reads_and_steps(device: str, launches: list[str], sizes: dict[str, Any]) -> None:
    model, lengths = language(device, **sizes), torch.tensor([67, 9], device=device)
    tokens = torch.randint(0, 40, (2, 67), generator=torch.Generator().manual_seed(1)).to(device)
    logits, state = model.prefill(tokens, lengths=lengths)
    stepped, end = model.plain_step(tokens[:, 0], state)
    assert {"_heard", "_step"} <= set(launches) or {"_selective"} <= set(launches)
    with plain():
        expected, expected_state = model.prefill(tokens, lengths=lengths)
        expected_step, expected_end = model.plain_step(tokens[:, 0], expected_state)
    pairs = [(logits, expected), (stepped, expected_step), (end[-1].ssm, expected_end[-1].ssm)]
    assert max(difference(*pair) for pair in pairs) <= 1e-5


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@torch.no_grad()
def test_the_decoder_steps_in_place(device: str, dtype: torch.dtype, near: float) -> None:
    model = language(device, dtype)
    tokens = torch.randint(0, 40, (3, 20), generator=torch.Generator().manual_seed(1)).to(device)
    with plain():
        _, state = model.prefill(tokens[:, :12])
        ours: State = map_state(torch.clone, state)
        exact = model.float()
        expected: State = state
        said = []
        for t in range(12, 16):
            logits, expected = exact.plain_step(tokens[:, t], expected)
            said.append(logits)
    model.to(dtype)
    decoder = CardDecoder(model)
    places = [block.ssm.data_ptr() for block in ours]
    for t, wanted in zip(range(12, 16), said, strict=True):
        logits, ours = decoder.step_from(model.embed(tokens[:, t]), ours, owned=True)
        assert difference(logits, wanted) <= near
    assert [block.ssm.data_ptr() for block in ours] == places


class Counted(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts the operations that would be launches; products apart."""

    FREE = (
        "view",
        "select",
        "slice",
        "split",
        "unsqueeze",
        "expand",
        "detach",
        "empty",
        "_t.",
        ".t.",
        "alias",
        "squeeze",
    )
    PRODUCTS = ("mm.", "addmm.", "linear.")

    def __init__(self) -> None:
        super().__init__()
        self.others = self.products = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        if any(part in name for part in self.PRODUCTS):
            self.products += 1
        elif not any(part in name for part in self.FREE):
            self.others += 1
        return function(*args, **(kwargs or {}))


@torch.no_grad()
def test_launches_of_a_token(device: str, launches: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """At most eight of a layer beside its products: a step, two norms, and no more."""
    choice.trouble(str(torch.device(device)))  # its own launch comes once
    found: dict[int, tuple[int, int]] = {}
    for layers in (1, 3):
        torch.manual_seed(0)
        model = LanguageModel(LanguageConfig(32, layers, 40, d_state=8, headdim=16)).to(device).requires_grad_(False)
        decoder, state = CardDecoder(model), model.initial_state(2)
        embeddings = model.embed(torch.tensor([1, 2], device=device))
        launches.clear()
        # what the interpreter does inside a launch is not the model's
        quiet = [(module, module.launch) for module in _kernel_modules()]
        for module, _ in quiet:
            monkeypatch.setattr(module, "launch", lambda kernel, *rest, **meta: launches.append(str(kernel)))
        with Counted() as counted:
            decoder.step_from(embeddings, state, owned=True)
        for module, launch in quiet:
            monkeypatch.setattr(module, "launch", launch)
        found[layers] = counted.others + len(launches), counted.products
    per_layer, products = ((found[3][i] - found[1][i]) / 2 for i in (0, 1))
    assert products == 2
    assert per_layer == 3, "a step and two norms"
    assert found[1][0] <= 3 + 3, "a copy of the embeddings, and the last norm"


@torch.no_grad()
def test_launches_of_a_word_of_the_default_model(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its tags, lexicon and urges: at most eight of a layer beside the products, all in all."""
    choice.trouble(str(torch.device(device)))  # its own launch comes once
    network: Any = load_model("sam-nano", device=device).network  # type: ignore[attr-defined]
    language, reader, launched = network.language, network.tag_reader, []
    language._decoder = CardDecoder(language)  # as on a card
    voice, layers = TagGuidedSpeaker(language, reader), language.config.n_layer
    tags = no_tags(2, torch.device(device), classes=len(reader.highest.weight[0]))
    state = SpeakingState(language.initial_state(2), reader.context(tags), torch.zeros_like(tags.highest))
    for module in _kernel_modules():
        monkeypatch.setattr(module, "launch", lambda kernel, *rest, **meta: launched.append(kernel))
    with Counted() as counted:
        voice.one_step(torch.tensor([1, 2], device=device), state, True)
    assert len(launched) == 3 * layers + 1, "a step and two norms of each layer, and the last norm"
    assert counted.products <= 2 * layers + 4, "the head, and what tags, marks and urges multiply"
    assert counted.others + len(launched) <= 8 * layers


def _kernel_modules() -> list[Any]:
    from samcli.ssm.triton import norms, step

    return [norms, step]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_the_window_scan_of_the_encoder(device: str, launches: list[str], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    mixer = BidirectionalMamba2(BidirectionalConfig(32, d_state=8, head_dim=16)).to(device, dtype).requires_grad_(False)
    x, lengths = Chance(1, device, dtype)(2, 41, 32), torch.tensor([41, 20], device=device)
    found = mixer(x, lengths)
    assert "_two_way" in launches
    with plain():
        expected = mixer.float()(x.float(), lengths)
    valid = (torch.arange(41, device=device) < lengths[:, None])[..., None]
    assert difference(found * valid, expected * valid) <= (1e-5 if dtype is torch.float32 else 2e-2)


def test_gradients_take_the_plain_path(device: str, launches: list[str]) -> None:
    mixer = Mamba(MambaConfig(16, d_state=4)).to(device)
    mixer(Chance(1, device)(1, 9, 16))[0].sum().backward()
    assert launches == [] and mixer.A_log.grad is not None


def test_the_first_launch_is_checked(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose compiler fails runs plain PyTorch, and says why."""
    from samcli.ssm.triton import first_order

    def broken(*arguments: Any, **meta: Any) -> None:
        raise RuntimeError("no C compiler found\nand more")

    monkeypatch.setattr(first_order, "launch", broken)
    choice.trouble.cache_clear()
    try:
        assert choice.trouble(str(torch.device(device))) == "Triton fails: no C compiler found"
        assert not choice.applies(torch.ones(1, device=device))
    finally:
        choice.trouble.cache_clear()


def test_kernels_launch_on_the_card_that_holds_the_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on the current one: cuda:1 would read memory that is not there."""
    from samcli.ssm.triton import launching

    entered: list[Any] = []

    class Current:
        def __init__(self, device: Any) -> None:
            self.device = device

        def __enter__(self) -> None:
            entered.append(self.device)

        def __exit__(self, *error: object) -> None:
            entered.append(None)

    class Held:
        is_cuda, device = True, torch.device("cuda:1")

    monkeypatch.setattr(torch.cuda, "device", Current)
    kernel = {(3,): lambda *arguments, **meta: entered.append(arguments[1])}
    launching.launch(kernel, (3,), Held(), "launched")  # type: ignore[arg-type]
    assert entered == [torch.device("cuda:1"), "launched", None]
