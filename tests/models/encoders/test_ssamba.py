"""SSAMBA against the numbers of the authors' program, quirks and pre-training losses included."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from samcli.errors import ModelError
from samcli.models.encoders.registry import recognise
from samcli.models.encoders.ssamba import KIND, LAYOUT, Ssamba, SsambaConfig, config_of

TOLERANCE = 1e-5
TINY = SsambaConfig(width=32, layers=4, table_steps=8, classes=7)


@pytest.fixture
def published(parity: Any) -> tuple[Ssamba, dict[str, torch.Tensor]]:
    weights, case = parity.load("ssamba")
    assert recognise(weights) is KIND
    ours = parity.ours(weights, LAYOUT)
    config = config_of(parity.shapes(ours), {})
    assert config == TINY
    return parity.fill(Ssamba(config), ours), case


@pytest.mark.parametrize("length", ["", "_t96", "_t176"])
def test_logits_at_three_lengths(published: Any, parity: Any, length: str) -> None:
    model, case = published
    assert parity.worst(model.read(case["input" + length]).clip_logits, case["output" + length]) < TOLERANCE


@pytest.mark.parametrize(
    ("variant", "change"),
    [
        ("output_ft_cls", {"pool": "class"}),
        ("output_if_bidirectional_false", {"paired": False}),
        ("output_stride10", {"stride": 10}),
    ],
)
def test_variants(parity: Any, variant: str, change: dict[str, Any]) -> None:
    weights, case = parity.load("ssamba")
    model = parity.fill(Ssamba(replace(TINY, **change)), parity.ours(weights, LAYOUT))
    assert parity.worst(model.read(case["input"]).clip_logits, case[variant]) < TOLERANCE


def test_resized_position_tables(published: Any, parity: Any) -> None:
    model, case = published
    assert parity.worst(model.position_table(6), case["pos_embed_t96"]) < TOLERANCE
    assert parity.worst(model.position_table(11), case["pos_embed_t176"]) < TOLERANCE
    overlapping = parity.fill(Ssamba(replace(TINY, stride=10)), model.state_dict())
    assert parity.worst(overlapping.position_table(12), case["pos_embed_stride10"]) < TOLERANCE


def test_every_part_on_the_way(published: Any, parity: Any) -> None:
    model, case = published
    patches = model.embed(case["input"])
    assert parity.worst(patches, case["patch_embed"]) < TOLERANCE
    tokens = torch.cat([model.class_token.expand(2, -1, -1), patches], dim=1) + model.positions
    hidden, residual = model.layers[0](tokens, None)
    assert parity.worst(hidden, case["layers.0.hidden"]) < TOLERANCE
    assert parity.worst(hidden, case["layers.0.mixer_only"]) < TOLERANCE
    assert parity.worst(residual, case["layers.0.residual"]) < TOLERANCE
    backward, backward_residual = model.layers[1](tokens.flip(1), None)
    assert parity.worst(backward, case["layers.1.hidden"]) < TOLERANCE
    assert parity.worst(backward_residual, case["layers.1.residual"]) < TOLERANCE
    assert parity.worst(model.encode(patches), case["norm_f_pass2"]) < TOLERANCE
    assert parity.worst(model.norm_f(case["norm_f_pass1"]), case["norm_f_pass2"]) < TOLERANCE


def test_pretraining_losses(published: Any, parity: Any) -> None:
    model, case = published
    loss = model.pretrain(case["input"], case["pretrain.mask_index"])
    assert parity.worst(loss.nce[None], case["pretrain.nce"]) < 1e-4
    assert parity.worst(loss.mse[None], case["pretrain.mse"]) < 1e-4
    assert parity.worst(loss.joint[None], case["pretrain.joint_loss"]) < 1e-4
    assert torch.equal(loss.nce_accuracy[None], case["pretrain.nce_accuracy"])


def test_pretraining_predictions(published: Any, parity: Any) -> None:
    model, case = published
    mask = case["pretrain.mask_index"]
    rows = torch.arange(2)[:, None]
    patches = model.embed(case["input"])
    patches[rows, mask] = model.mask_token[0, 0]
    hidden = model.encode(patches)[rows, mask + 1]
    assert parity.worst(model.cpred(hidden), case["pretrain.cpred"]) < TOLERANCE
    assert parity.worst(model.gpred(hidden), case["pretrain.gpred"]) < TOLERANCE
    pixels = torch.nn.functional.unfold(case["input"].transpose(1, 2)[:, None], 16, stride=16).transpose(1, 2)
    assert parity.worst(pixels[:, :4], case["pretrain.target_patches"]) == 0


def test_pretraining_learns_every_parameter_but_the_head() -> None:
    model = Ssamba(SsambaConfig(width=16, layers=2, table_steps=2))
    model.pretrain(torch.randn(2, 32, 128), torch.tensor([[1, 5, 9], [0, 2, 15]])).joint.backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert idle == []


def test_released_weights_have_no_head(parity: Any) -> None:
    weights, case = parity.load("ssamba")
    ours = parity.ours({key: value for key, value in weights.items() if "mlp_head" not in key}, LAYOUT)
    model = parity.fill(Ssamba(config_of(parity.shapes(ours), {})), ours)
    reading = model.read(case["input"])
    assert reading.clip_logits is None and reading.features.shape == (2, 8, 8 * 32)


def test_features_are_turned_to_time_major(published: Any) -> None:
    model, case = published
    tokens = model.encode(model.embed(case["input"]))[:, 1:]  # frequency-major
    features = model.read(case["input"]).features
    assert torch.equal(features[:, 6, 3 * 32 : 4 * 32], tokens[:, 3 * 8 + 6])


def test_pretraining_needs_heads_and_disjoint_patches() -> None:
    for change in ({"pretraining": False}, {"stride": 10}):
        model = Ssamba(replace(TINY, layers=2, **change))
        with pytest.raises(ModelError, match="cannot be pre-trained"):
            model.pretrain(torch.zeros(1, 128, 128), torch.zeros(1, 1, dtype=torch.long))
