"""DASS against the numbers of the authors' program, from both key layouts."""

from typing import Any

import pytest
import torch

from samcli.models.encoders.dass import KIND, LAYOUT, CrossScan, Dass, DassConfig, config_of
from samcli.models.encoders.registry import recognise

TOLERANCE = 1e-5


@pytest.fixture(params=["dass_original", "dass_hf"])
def published(request: Any, parity: Any) -> tuple[Dass, dict[str, torch.Tensor]]:
    weights, case = parity.load(request.param)
    assert recognise(weights) is KIND
    ours = parity.ours(weights, LAYOUT)
    config = config_of(parity.shapes(ours), {})
    assert config == DassConfig(widths=(8, 16, 32, 64), depths=(1, 1, 2, 1), classes=7)
    return parity.fill(Dass(config), ours), case


def test_logits_at_two_lengths(published: Any, parity: Any) -> None:
    model, case = published
    for length in ("", "_t192"):
        reading = model.read(case["input" + length])
        assert parity.worst(reading.clip_logits, case["output" + length]) < TOLERANCE
        pooled = reading.features.reshape(2, -1, model.width).mean(1)
        assert parity.worst(pooled, case["pooled" + length]) < TOLERANCE


def test_every_stage_on_the_way(published: Any, parity: Any) -> None:
    model, case = published
    stem = model.stem(case["input"].transpose(1, 2)[:, None])
    assert parity.worst(stem, case["patch_embed"]) < TOLERANCE
    block = model.stages[0].blocks[0]
    if "layers.0.blocks.0" in case:
        assert parity.worst(block.op(block.norm(stem)), case["layers.0.blocks.0.op"]) < TOLERANCE
        assert parity.worst(block(stem), case["layers.0.blocks.0"]) < TOLERANCE
    assert parity.worst(model.stages[0](stem), case["layers.0"]) < TOLERANCE
    assert parity.worst(model.map(case["input"]), case["layers.3"]) < 3 * TOLERANCE  # values of this map reach 30


def test_both_layouts_are_one_model(parity: Any) -> None:
    first, second = (parity.ours(parity.load(name)[0], LAYOUT) for name in ("dass_original", "dass_hf"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name].flatten(), second[name].flatten()) for name in first)


def test_convolution_shaped_weights_are_accepted(parity: Any) -> None:
    weights, case = parity.load("dass_original")
    wide = {
        key: value[..., None, None] if key.endswith(("proj.weight", "fc1.weight", "fc2.weight")) else value
        for key, value in weights.items()
    }
    config = DassConfig(widths=(8, 16, 32, 64), depths=(1, 1, 2, 1), classes=7)
    model = parity.fill(Dass(config), parity.ours(wide, LAYOUT))
    assert parity.worst(model.read(case["input"]).clip_logits, case["output"]) < TOLERANCE


def test_step_logits_average_to_the_clip(published: Any, parity: Any) -> None:
    model, case = published
    reading = model.read(case["input"])
    assert reading.step_logits.shape == (2, 4, 7)
    assert parity.worst(reading.step_logits.mean(1), reading.clip_logits) < TOLERANCE


def test_scan_walks_rows_columns_and_back() -> None:
    """The four paths of a 2 x 3 map, written out."""
    scan = CrossScan(16, 1e-5)
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    paths = scan.paths(x)[0, :, 0].tolist()
    assert paths == [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5], [5, 4, 3, 2, 1, 0], [5, 2, 4, 1, 3, 0]]
    assert torch.equal(scan.merge(scan.paths(x), 2, 3), 4 * x)


def test_every_parameter_learns() -> None:
    model = Dass(DassConfig(widths=(4, 8), depths=(1, 1), classes=3))
    model.read(torch.randn(2, 40, 128)).clip_logits.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one width for each stage"):
        DassConfig(widths=(8, 16), depths=(1,))
    with pytest.raises(ValueError, match="even"):
        DassConfig(widths=(7,), depths=(1,))
