"""LoRA and DoRA against their formulas, and what a person relies on: small files, exact merging, stacking by name."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from samcli.errors import ModelError
from samcli.models.lora import (
    AdaptedLinear,
    AdapterConfig,
    adapter_names,
    adapter_parameters,
    adapter_state,
    add_adapter,
    load_adapter_state,
    merge_adapters,
    remove_adapter,
    train_only_adapters,
)
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.generation import GenerationOptions, generate
from samcli.ssm.language.model import LanguageModel

TINY = LanguageConfig(d_model=32, n_layer=2, vocab_size=40, d_state=8, headdim=16)
KINDS = ["lora", "dora"]
TOKENS = torch.arange(24).reshape(2, 12)


def language() -> LanguageModel:
    torch.manual_seed(1)
    return LanguageModel(TINY).eval()


def disturb(model: nn.Module, name: str, seed: int = 5) -> None:
    """As training would: every tensor of the adapter gets other values."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter_parameters(model, name):
            parameter += 0.1 * torch.randn(parameter.shape, generator=chance)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = model(TOKENS)[0]
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_the_formula(kind: Any) -> None:
    layer = nn.Module()
    layer.in_proj = nn.Linear(6, 4, bias=True)
    W, bias = layer.in_proj.weight.detach().clone(), layer.in_proj.bias.detach().clone()
    add_adapter(layer, AdapterConfig(kind=kind, rank=2, alpha=3.0))
    disturb(layer, "default")
    adapter = layer.in_proj.adapters["default"]
    expected = W + 3.0 / 2 * adapter.up @ adapter.down
    if kind == "dora":
        expected = adapter.magnitude[:, None] * expected / expected.norm(dim=1, keepdim=True)
    x = torch.randn(5, 6)
    torch.testing.assert_close(layer.in_proj(x), x @ expected.T + bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_adapter_changes_nothing(kind: Any) -> None:
    model = language()
    before = logits(model)
    add_adapter(model, AdapterConfig(kind=kind))
    assert len([m for m in model.modules() if isinstance(m, AdaptedLinear)]) == 4
    torch.testing.assert_close(logits(model), before, rtol=0, atol=1e-6)


def test_base_checkpoints_load_as_before() -> None:
    model, plain = language(), language()
    add_adapter(model, AdapterConfig())
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(".adapters." in key for key in missing)


@pytest.mark.parametrize("kinds", [["lora"], ["dora"], ["lora", "dora"], ["dora", "lora"], ["dora", "dora"]])
def test_merging_leaves_a_plain_model_that_says_the_same(kinds: list[Any]) -> None:
    model = language()
    for number, kind in enumerate(kinds):
        add_adapter(model, AdapterConfig(kind=kind, rank=3), f"adapter{number}")
        disturb(model, f"adapter{number}", number)
    bare, aside = logits(language()), logits(model)
    assert (aside - bare).abs().max() > 1e-3
    merge_adapters(model)
    assert adapter_names(model) == [] and model.state_dict().keys() == language().state_dict().keys()
    torch.testing.assert_close(logits(model), aside, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_small_and_stacked_by_name(kind: Any) -> None:
    config = AdapterConfig(kind=kind, rank=4)
    first = language()
    add_adapter(first, config, "rain")
    disturb(first, "rain", 1)
    add_adapter(first, config, "birds")
    disturb(first, "birds", 2)
    state = {name: adapter_state(first, name) for name in adapter_names(first)}
    assert list(state) == ["rain", "birds"]
    assert all(key.split(".")[-1] in ("down", "up", "magnitude") for key in state["rain"])
    second = language()
    for name, tensors in state.items():
        load_adapter_state(second, config, tensors, name)
    torch.testing.assert_close(logits(second), logits(first), rtol=0, atol=0)
    remove_adapter(second, "birds")
    assert adapter_names(second) == ["rain"]
    assert (logits(second) - logits(first)).abs().max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_adapter_learns(kind: Any) -> None:
    model = language().train()
    base = copy.deepcopy(model.state_dict())
    add_adapter(model, AdapterConfig(kind=kind, rank=2, dropout=0.1), "a")
    add_adapter(model, AdapterConfig(kind=kind, rank=2), "b")
    frozen = [parameter.detach().clone() for parameter in adapter_parameters(model, "a")]
    parameters = train_only_adapters(model, ["b"])
    assert {id(p) for p in model.parameters() if p.requires_grad} == {id(p) for p in parameters}
    optimizer = torch.optim.SGD(parameters, lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        model(TOKENS)[0].square().mean().backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)
    assert all(torch.equal(value, base[key]) for key, value in model.state_dict().items() if key in base)
    assert all(torch.equal(p, old) for p, old in zip(adapter_parameters(model, "a"), frozen, strict=True))


def test_dora_treats_the_norm_as_a_constant() -> None:
    """With the norm detached, the gradient of `up` is magnitude / norm times LoRA's."""
    gradients = {}
    x, up = torch.randn(3, 6), torch.randn(4, 2)
    for kind in KINDS:
        torch.manual_seed(2)
        layer = nn.Module()
        layer.in_proj = nn.Linear(6, 4, bias=False)
        add_adapter(layer, AdapterConfig(kind=kind, rank=2))  # type: ignore[arg-type]
        adapter = layer.in_proj.adapters["default"]
        with torch.no_grad():
            adapter.up.copy_(up)
        layer.in_proj(x).sum().backward()
        gradients[kind] = adapter.up.grad
        if kind == "dora":
            norm = (layer.in_proj.weight + adapter.scale * adapter.up @ adapter.down).norm(dim=1)
            factor = (adapter.magnitude / norm).detach()[:, None]
    torch.testing.assert_close(gradients["dora"], gradients["lora"] * factor)


def test_half_precision_base_keeps_its_type() -> None:
    model = language().to(torch.bfloat16)
    add_adapter(model, AdapterConfig(kind="dora"))
    assert {p.dtype for p in adapter_parameters(model)} == {torch.float32}
    aside = logits(model)
    merge_adapters(model)
    assert {p.dtype for name, p in model.named_parameters() if "adapters" not in name} == {torch.bfloat16}
    torch.testing.assert_close(logits(model), aside, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_keeps_the_plain_layers_type(kind: Any) -> None:
    layer = nn.Module()
    layer.in_proj = nn.Linear(6, 4, bias=False)
    add_adapter(layer, AdapterConfig(kind=kind, rank=2))
    disturb(layer, "default")
    x = torch.randn(5, 6)
    wanted = layer.in_proj(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer.in_proj(x)
        assert layer.in_proj.adapters["default"].update().dtype == torch.float32
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0.05, atol=0.05)


def test_what_does_not_fit_is_named_and_leaves_the_model_alone() -> None:
    model = language()
    add_adapter(model, AdapterConfig(rank=4), "a")
    tensors = adapter_state(model, "a")
    key = sorted(tensors)[0]
    for broken, sentence in (
        ({k: v for k, v in tensors.items() if k != key}, "1 missing"),
        (tensors | {"elsewhere.up": torch.zeros(1)}, "1 unexpected, such as elsewhere.up"),
        (tensors | {key: torch.zeros(3, 3)}, "1 of another shape"),
    ):
        with pytest.raises(ModelError, match=sentence):
            load_adapter_state(model, AdapterConfig(rank=4), broken, "b")
        assert adapter_names(model) == ["a"]
    with pytest.raises(ModelError, match="no linear layers named q_proj"):
        add_adapter(model, AdapterConfig(targets=("q_proj",)), "c")
    with pytest.raises(ModelError, match="already has"):
        add_adapter(model, AdapterConfig(), "a")
    with pytest.raises(ModelError, match="it has a"):
        remove_adapter(model, "z")
    with pytest.raises(ValueError, match="rank"):
        AdapterConfig(rank=0)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_weights_and_the_quick_decoder_see_the_adapter(kind: Any) -> None:
    """Generation lays weights out anew and keeps constants; an adapter added later must still be heard."""
    model = language().requires_grad_(False)
    options = GenerationOptions(max_new_tokens=6)
    prompt = torch.randint(0, 40, (2, 5))

    def say() -> list[list[int]]:
        return generate(model, None, prompt, options)

    plain = say()
    add_adapter(model, AdapterConfig(kind=kind, rank=2))
    assert say() == plain
    with torch.no_grad():
        for parameter in adapter_parameters(model):
            parameter += torch.randn(parameter.shape)
    adapted = say()
    assert adapted != plain
    merged = copy.deepcopy(model)
    merge_adapters(merged)
    assert generate(merged, None, prompt, options) == adapted
    remove_adapter(model, "default")
    assert say() == plain
