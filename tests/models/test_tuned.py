"""Adapters on disk: small, whole or not at all, refused when they do not belong."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from samcli.errors import ModelError
from samcli.models.lora import (
    AdapterConfig,
    adapter_names,
    adapter_parameters,
    adapter_state,
    add_adapter,
)
from samcli.models.tuned import load_adapter, read_adapter_config

CONFIG = AdapterConfig(kind="dora", rank=2, alpha=4.0, targets=("in_proj",), base="org/base", base_revision="abc")


def model(width: int = 64) -> nn.Module:
    torch.manual_seed(0)
    block = nn.Module()
    block.in_proj = nn.Linear(width, 4 * width, bias=False)
    block.out_proj = nn.Linear(width, width, bias=False)
    return block


def save_adapter(model: nn.Module, config: AdapterConfig, folder: Path, name: str = "default") -> None:
    """A folder as `sam train tune` writes it."""
    folder.mkdir()
    save_file(adapter_state(model, name), folder / "adapter.safetensors", {"format": "pt"})
    (folder / "adapter.json").write_text(json.dumps({"model_type": "adapter", **dataclasses.asdict(config)}))


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, nn.Module]:
    trained = model()
    add_adapter(trained, CONFIG, "rain")
    with torch.no_grad():
        for parameter in adapter_parameters(trained, "rain"):
            parameter.uniform_(-1, 1)
    save_adapter(trained, CONFIG, tmp_path / "rain", "rain")
    return tmp_path / "rain", trained


def test_round_trip(saved: tuple[Path, nn.Module]) -> None:
    folder, trained = saved
    other = model()
    assert load_adapter(other, folder, "wet", base="org/base", base_revision="abc") == CONFIG
    found, wanted = adapter_state(other, "wet"), adapter_state(trained, "rain")
    assert all(torch.equal(value, found[key.replace("rain", "wet")]) for key, value in wanted.items())
    x = torch.randn(2, 64)
    assert torch.equal(other.in_proj(x), trained.in_proj(x))  # type: ignore[operator]


def test_another_base_is_refused(saved: tuple[Path, nn.Module]) -> None:
    folder, _ = saved
    for base, revision, sentence in (
        ("org/other", "", "trained on org/base, not on"),
        ("org/base", "xyz", "revision abc"),
    ):
        other = model()
        with pytest.raises(ModelError, match=sentence):
            load_adapter(other, folder, base=base, base_revision=revision)
        assert adapter_names(other) == []
    with pytest.raises(ModelError, match="of another shape"):
        load_adapter(model(32), folder)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not readable as JSON"),
        ("[" * 100_000, "too large|not readable"),
        ("[]", "does not describe an adapter"),
        ('{"model_type": "sam"}', "does not describe an adapter"),
        ('{"model_type": "adapter", "rank": NaN}', "not readable as JSON"),
        ('{"model_type": "adapter", "rank": 0, "targets": ["in_proj"]}', "does not describe"),
        ('{"model_type": "adapter", "rank": 2.5, "targets": ["in_proj"]}', "wrong type"),
        ('{"model_type": "adapter", "rank": 1000000000, "targets": ["in_proj"]}', "wrong type"),
        ('{"model_type": "adapter", "verdicts": -1}', "wrong type"),
        ('{"model_type": "adapter", "recordings": "many"}', "wrong type"),
        ('{"model_type": "adapter", "kind": "qlora", "targets": ["in_proj"]}', "wrong type"),
        ('{"model_type": "adapter", "colour": "blue"}', "does not describe"),
        ('{"model_type": "adapter", "targets": 7}', "does not describe"),
    ],
)
def test_hostile_descriptions(saved: tuple[Path, nn.Module], text: str, sentence: str) -> None:
    folder, _ = saved
    (folder / "adapter.json").write_text(text)
    with pytest.raises(ModelError, match=sentence):
        read_adapter_config(folder)


def test_damaged_weights(saved: tuple[Path, nn.Module], tmp_path: Path) -> None:
    folder, _ = saved
    weights = folder / "adapter.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ModelError, match="missing or damaged"):
        load_adapter(model(), folder)
    with pytest.raises(ModelError, match="holds no adapter"):
        load_adapter(model(), tmp_path)
