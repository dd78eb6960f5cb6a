"""Published weights as a person gives them: a folder, through the one door that `--model FOLDER` uses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from samcli.checkpoints.convert import convert
from samcli.checkpoints.loading import load_model
from samcli.errors import ModelError
from samcli.models.interface import SpeakOptions

FIXTURES = Path(__file__).parent.parent / "fixtures"
TOLERANCE = 1e-5
Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    def make(name: str, config: dict[str, Any] | None = None) -> Path:
        place = tmp_path / name
        place.mkdir()
        shutil.copy(FIXTURES / name / "weights.safetensors", place / "model.safetensors")
        if config is not None:
            (place / "config.json").write_text(json.dumps(config))
        return place

    return make


def load(place: Path, **options: Any) -> Any:
    return load_model(str(place), device="cpu", offline=True, **options)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("dass_original", None),  # a converted .pth has no config: its shapes tell everything
        ("dass_hf", {"model_type": "dass", "depths": [9, 9], "id2label": {str(n): f"label {n}" for n in range(7)}}),
        ("eat", {"model_type": "eat", "num_heads": 4, "model_variant": "finetune"}),
        ("ssamba", None),
    ],
)
def test_parity_through_the_front_door(folder: Folder, name: str, config: dict[str, Any] | None) -> None:
    model = load(folder(name, config))
    case = load_file(FIXTURES / name / "case.safetensors")
    frames = case["input"].reshape(case["input"].shape[0], -1, 128)
    with torch.no_grad():
        logits = model.encoder.read(frames).clip_logits
    assert (logits - case["output"]).abs().max() < TOLERANCE
    assert model.tasks == {"tag"} and len(model.labels) == 7
    if config and "id2label" in config:
        assert model.labels[2] == "label 2"


@pytest.mark.parametrize("name", ["dass_original", "eat", "ssamba"])
def test_converted_folders_give_the_same_bits(folder: Folder, name: str, tmp_path: Path) -> None:
    place = folder(name, {"num_heads": 4})
    convert(str(place), tmp_path / "ours", offline=True)
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["model_type"] == name.partition("_")[0]
    waves, lengths = 0.1 * torch.randn(1, 9000), torch.tensor([9000])
    first, second = (load(where).encode(waves, lengths) for where in (place, tmp_path / "ours"))
    assert torch.equal(first.clip_logits, second.clip_logits) and torch.equal(first.features, second.features)


def test_a_wave_goes_all_the_way(folder: Folder) -> None:
    """Waves in, filter bank, normalisation, padding, tags out: the same from both layouts of one model."""
    waves, lengths = 0.1 * torch.randn(2, 12_000), torch.tensor([12_000, 7_000])
    first, second = (load(folder(name)).encode(waves, lengths) for name in ("dass_original", "dass_hf"))
    assert torch.equal(first.clip_logits, second.clip_logits)
    assert torch.equal(first.step_logits, second.step_logits)


def test_released_pretraining_weights_make_features_only(folder: Folder) -> None:
    place = folder("ssamba")
    weights = load_file(place / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "mlp_head" not in k}, place / "model.safetensors")
    model = load(place)
    assert model.tasks == frozenset()
    encoding = model.encode(torch.randn(1, 8000), torch.tensor([8000]))
    assert encoding.clip_logits is None and encoding.features.isfinite().all()


def test_a_tagger_from_a_folder_refuses_to_speak(folder: Folder) -> None:
    with pytest.raises(ModelError, match="sam-nano"):
        load(folder("dass_hf")).speak(None, [""], SpeakOptions())


def test_half_precision(folder: Folder) -> None:
    model = load(folder("eat", {"num_heads": 4}), dtype=torch.bfloat16)
    assert {p.dtype for p in model.encoder.parameters()} == {torch.bfloat16}
    case = load_file(FIXTURES / "eat" / "case.safetensors")
    with torch.no_grad():
        logits = model.encoder.read(case["input"][:, 0].bfloat16()).clip_logits.float()
    assert (logits - case["output"]).abs().max() < 0.1


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("dass_hf", lambda w: w.pop("dass.layers.1.blocks.0.op.Ds"), "1 missing"),
        ("eat", lambda w: w.update({"model.stranger": torch.zeros(2)}), "1 unexpected .*stranger"),
        ("dass_hf", lambda w: w.update({"dass.norm.weight": torch.zeros(3)}), "1 mis-shaped"),
        ("ssamba", lambda w: w.pop("module.v.pos_embed"), "lack the tensor positions"),
    ],
)
def test_damaged_weights_are_named(folder: Folder, name: str, change: Any, sentence: str) -> None:
    place = folder(name, {"num_heads": 4})
    weights = load_file(place / "model.safetensors")
    change(weights)
    save_file(weights, place / "model.safetensors")
    with pytest.raises(ModelError, match=sentence):
        load(place)


@pytest.mark.parametrize("name", ["mlmamba_connector", "mixture_of_mamba"])
def test_a_part_is_no_model(folder: Folder, name: str) -> None:
    with pytest.raises(ModelError, match=r"part|no layout"):
        load(folder(name))


@pytest.mark.parametrize("heads", [0, -4, "four", 5])
def test_impossible_heads_are_refused(folder: Folder, heads: Any) -> None:
    with pytest.raises(ModelError):
        load(folder("eat", {"num_heads": heads}))
