"""The encoder of sam-nano: what a window gives does not depend on its neighbours or its padding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from samcli.models.encoders.nano import NanoConfig, NanoEncoder
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.ssm.fast import kernels
from samcli.training.nano.initial import learn_statistics

SMALL = NanoConfig(
    trunk="tiny",
    hidden=16,
    layers=2,
    mixer=BidirectionalConfig(d_model=16, d_state=8, head_dim=8),
    classes=11,
)


@pytest.fixture(scope="module", params=["mamba2", "mambaout"])
def encoder(request: pytest.FixtureRequest) -> NanoEncoder:
    torch.manual_seed(0)
    network = NanoEncoder(replace(SMALL, mixing=request.param))
    learn_statistics(network.trunk)
    network.train()
    for _ in range(3):  # let the batch norms see something
        network(torch.randn(4, 64, 128))
    return network.eval().double()


@pytest.mark.parametrize("sizes", [[1, 7, 8, 9, 50, 100], [250, 257, 384, 512, 513, 777, 900, 1000]])
def test_rows_of_a_padded_batch_equal_rows_alone(encoder: NanoEncoder, sizes: list[int]) -> None:
    frames = torch.tensor(sizes)
    mel = torch.randn(len(sizes), max(sizes), 128, dtype=torch.float64)
    together = encoder(mel, frames)
    for row, count in enumerate(frames.tolist()):
        alone = encoder(mel[row : row + 1, :count])
        tokens = int(together.lengths[row])
        assert tokens == int(alone.lengths[0]) == -(-count // 8)
        assert torch.allclose(together.features[row, :tokens], alone.features[0], atol=1e-10)
        assert torch.allclose(together.clip_logits[row], alone.clip_logits[0], atol=1e-10)
        assert torch.allclose(together.step_logits[row, :tokens], alone.step_logits[0], atol=1e-10)


def test_folding_the_batch_norms_changes_nothing(encoder: NanoEncoder) -> None:
    block = encoder.trunk.blocks[1].depthwise
    x = torch.randn(2, 8, 20, 32, dtype=torch.float64)
    weight, bias = block.folded()
    folded = F.conv2d(x, weight, bias, block.conv.stride, padding=1, groups=8)
    assert torch.allclose(folded, block.norm(block.conv(x)), atol=1e-12)


def test_a_folded_norm_is_kept_until_a_weight_is_written_to(encoder: NanoEncoder) -> None:
    block = encoder.trunk.blocks[1].depthwise
    with torch.no_grad():
        weight, bias = block.folded()
        assert block.folded()[0] is weight
        for part in (block.conv.weight, block.norm.weight, block.norm.bias, block.norm.running_mean):
            part.mul_(2)
        assert torch.allclose(block.folded()[0], 4 * weight, atol=1e-12)
        block.norm.running_mean.zero_()
        assert torch.equal(block.folded()[1], block.norm.bias) and not torch.equal(bias, block.norm.bias)
    assert block.folded()[0].requires_grad == block.conv.weight.requires_grad


@pytest.mark.parametrize("mixing", ["mamba2", "mambaout"])
def test_the_shipped_sizes(mixing: Any) -> None:
    network = NanoEncoder(NanoConfig(mixing=mixing))
    parameters = sum(p.numel() for p in network.parameters())
    assert 3_500_000 < parameters < 4_500_000
    encoding = network.eval()(torch.zeros(1, 998, 128))
    assert encoding.features.shape == (1, 125, 256)
    assert encoding.step_logits is not None and encoding.step_logits.shape == (1, 125, 527)


def test_every_choice_of_kernels_hears_the_same() -> None:
    torch.manual_seed(1)
    network = NanoEncoder(NanoConfig(layers=2))
    network.train()
    with torch.no_grad():
        network(torch.randn(4, 64, 128))
    network.eval()
    mel, frames = torch.randn(3, 250, 128), torch.tensor([250, 201, 90])
    with torch.inference_mode():
        quick = network(mel, frames)
        kernels.force("torch")
        try:
            plain = network(mel, frames)
        finally:
            kernels.force("auto")
    assert torch.allclose(quick.features, plain.features, rtol=1e-3, atol=1e-4)
    assert torch.allclose(quick.clip_logits.sigmoid(), plain.clip_logits.sigmoid(), atol=1e-4)
