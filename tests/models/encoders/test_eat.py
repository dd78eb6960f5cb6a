"""EAT against the numbers of the authors' program."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.errors import ModelError
from samcli.models.encoders.eat import KIND, LAYOUT, Eat, EatConfig, config_of, position_table
from samcli.models.encoders.registry import recognise

TOLERANCE = 1e-5
TINY = EatConfig(width=48, layers=2, heads=4, max_steps=72, classes=7)


@pytest.fixture
def published(parity: Any) -> tuple[Eat, dict[str, torch.Tensor]]:
    weights, case = parity.load("eat")
    assert recognise(weights) is KIND
    ours = parity.ours(weights, LAYOUT)
    config = config_of(parity.shapes(ours), {"num_heads": 4})
    assert config == TINY
    return parity.fill(Eat(config), ours), case


@pytest.mark.parametrize("length", ["", "_t128", "_t1024"])
def test_features_and_logits(published: Any, parity: Any, length: str) -> None:
    model, case = published
    frames = case["input" + length].float()[:, 0]
    assert parity.worst(model.tokens(frames), case["features" + length]) < TOLERANCE
    assert parity.worst(model.read(frames).clip_logits, case["output" + length]) < TOLERANCE


def test_every_part_on_the_way(published: Any, parity: Any) -> None:
    model, case = published
    for length in ("", "_t128"):
        frames = case["input" + length][:, 0]
        patches = model.patches(frames[:, None]).flatten(2).transpose(1, 2)
        assert parity.worst(patches, case["patch_embed" + length]) < TOLERANCE
        embedded = model.embed(frames)
        assert parity.worst(embedded, case["tokens_with_positions_and_cls" + length]) < TOLERANCE
        normed = model.pre_norm(embedded)
        assert parity.worst(normed, case["pre_norm" + length]) < TOLERANCE
        assert parity.worst(model.blocks[0](normed), case["block0" + length]) < TOLERANCE


def test_the_other_copy_of_the_code_has_another_eps(parity: Any) -> None:
    weights, case = parity.load("eat")
    model = parity.fill(Eat(replace(TINY, head_norm_eps=1e-5)), parity.ours(weights, LAYOUT))
    for length in ("", "_t128", "_t1024"):
        logits = model.read(case["input" + length].float()[:, 0]).clip_logits
        assert parity.worst(logits, case["output_fc_norm_eps1e-5" + length]) < TOLERANCE


def test_features_hold_each_step_with_its_bands(published: Any) -> None:
    """Token 8 * time + frequency sits in step `time`, at channels frequency * width."""
    model, case = published
    frames = case["input"][:, 0]
    features, tokens = model.read(frames).features, model.tokens(frames)
    assert features.shape == (2, 4, 8 * 48)
    assert torch.equal(features[:, 2, 5 * 48 : 6 * 48], tokens[:, 1 + 8 * 2 + 5])


def test_pretrained_encoder_has_no_head(parity: Any) -> None:
    weights, case = parity.load("eat")
    headless = {key: value for key, value in weights.items() if "fc_norm" not in key and "head" not in key}
    ours = parity.ours(headless, LAYOUT)
    config = config_of(parity.shapes(ours), {"num_heads": 4})
    assert config.classes == 0
    model = parity.fill(Eat(config), ours)
    assert parity.worst(model.tokens(case["input"][:, 0]), case["features"]) < TOLERANCE
    assert model.read(case["input"][:, 0]).clip_logits is None


def test_fairseq_names(parity: Any) -> None:
    """The table in the fixture's README: our names are the same from either layout."""
    readme = (Path(__file__).parents[2] / "fixtures/eat/README.md").read_text()
    rows = [
        line.split("`") for line in readme.split("## name in the fairseq")[1].splitlines() if line.startswith("| `")
    ]
    assert len(rows) == 34
    for row in rows:
        hub, fairseq = row[1], row[3]
        pretrained = fairseq.removeprefix("model.")
        ours = set(LAYOUT.rename([hub, fairseq, pretrained]).values())
        assert len(ours) == 1 and ours < set(Eat(TINY).state_dict()), (hub, fairseq, ours)


def test_fairseq_leftovers_are_dropped_and_strangers_kept() -> None:
    names = LAYOUT.rename(
        ["_ema.blocks.0.x", "modality_encoders.IMAGE.decoder.proj.weight", "recon_proj.weight", "stranger"]
    )
    assert list(names.values()) == ["", "", "", "stranger"]


def test_position_table_is_the_authors() -> None:
    table = position_table(48, 72, 8)
    assert table.shape == (1, 576, 48)
    # at time 0 and frequency 0 all sines are 0 and all cosines 1
    assert torch.equal(table[0, 0], torch.tensor([0.0] * 12 + [1.0] * 12 + [0.0] * 12 + [1.0] * 12))
    # the first half moves with frequency alone, the second with time alone
    assert torch.equal(table[0, 3, :24], table[0, 8 * 9 + 3, :24])
    assert torch.equal(table[0, 8 * 9 + 3, 24:], table[0, 8 * 9 + 5, 24:])


def test_stored_and_computed_positions_agree(parity: Any) -> None:
    stored = parity.load("eat")[0]["model.fixed_positional_encoder.positions"]
    assert parity.worst(position_table(48, 72, 8), stored) < 5e-6


def test_more_sound_than_positions_is_refused(published: Any) -> None:
    model, _ = published
    with pytest.raises(ModelError, match="at most 12 s"):
        model.read(torch.zeros(1, 73 * 16, 128))


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="heads"):
        EatConfig(width=50, heads=4)
    with pytest.raises(ValueError, match="whole number"):
        EatConfig(mel_bins=100)
    with pytest.raises(ModelError, match="lack the tensor"):
        config_of({"blocks.0.attn.qkv.weight": (3, 1)}, {})
