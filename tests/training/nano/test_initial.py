"""An encoder that begins with mn04 tags as mn04 does: beside a plain network in the layout its authors published."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from samcli.errors import ModelError
from samcli.models.encoders.mobilenet import MN04
from samcli.models.encoders.nano import NanoConfig, NanoEncoder
from samcli.training.nano.initial import load_trunk


def published(seed: int = 0) -> dict[str, Tensor]:
    """Random weights under mn04's names: frequency runs along a kernel's height."""
    chance = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}

    def random(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=chance) * scale

    def conv(name: str, inputs: int, outputs: int, kernel: int, groups: int = 1) -> None:
        fan = inputs // groups * kernel * kernel
        found[f"{name}.0.weight"] = random(outputs, inputs // groups, kernel, kernel, scale=1.5 * fan**-0.5)
        found[f"{name}.1.weight"] = 1 + random(outputs, scale=0.2)
        found[f"{name}.1.bias"], found[f"{name}.1.running_mean"] = random(outputs, scale=0.3), random(outputs)
        found[f"{name}.1.running_var"] = random(outputs).abs() + 0.5

    def dense(name: str, inputs: int, outputs: int) -> None:
        found[f"{name}.weight"] = random(outputs, inputs, scale=inputs**-0.5)
        found[f"{name}.bias"] = random(outputs, scale=0.3)

    conv("features.0", 1, 8, 3)
    for number, shape in enumerate(MN04, 1):
        place, part = f"features.{number}.block", 0
        if shape.expanded != shape.inputs:
            conv(f"{place}.{part}", shape.inputs, shape.expanded, 1)
            part += 1
        conv(f"{place}.{part}", shape.expanded, shape.expanded, shape.kernel, shape.expanded)
        part += 1
        if shape.squeeze:
            dense(f"{place}.{part}.conc_se_layers.0.fc1", shape.expanded, shape.squeeze)
            dense(f"{place}.{part}.conc_se_layers.0.fc2", shape.squeeze, shape.expanded)
            part += 1
        conv(f"{place}.{part}", shape.expanded, shape.outputs, 1)
    conv("features.16", 64, 384, 1)
    dense("classifier.2", 384, 512)
    dense("classifier.5", 512, 527)
    return found


def by_hand(weights: dict[str, Tensor], mel: Tensor) -> Tensor:
    """mn04's logits of (batch, 1, bands, frames), one published operation after the other."""

    def conv(name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        kernel = weights[f"{name}.0.weight"]
        x = F.conv2d(x, kernel, None, stride, kernel.shape[2] // 2, groups=groups)
        statistics = (weights[f"{name}.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *statistics, eps=1e-3)

    def dense(name: str, x: Tensor) -> Tensor:
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = F.hardswish(conv("features.0", mel, 2))
    for number, shape in enumerate(MN04, 1):
        act = F.relu if shape.activation == "relu" else F.hardswish
        place, part, y = f"features.{number}.block", 0, x
        if shape.expanded != shape.inputs:
            y, part = act(conv(f"{place}.{part}", y)), part + 1
        y, part = act(conv(f"{place}.{part}", y, shape.stride, shape.expanded)), part + 1
        if shape.squeeze:
            gate = F.relu(dense(f"{place}.{part}.conc_se_layers.0.fc1", y.mean((2, 3))))
            y = y * torch.sigmoid(dense(f"{place}.{part}.conc_se_layers.0.fc2", gate))[..., None, None]
            part += 1
        y = conv(f"{place}.{part}", y)
        x = x + y if shape.stride == 1 and shape.inputs == shape.outputs else y
    embedding = F.hardswish(conv("features.16", x)).mean((2, 3))
    return dense("classifier.5", F.hardswish(dense("classifier.2", embedding)))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[NanoEncoder, dict[str, Tensor]]:
    weights, path = published(), tmp_path_factory.mktemp("mn04") / "mn04.safetensors"
    save_file(weights, path)
    encoder = NanoEncoder(NanoConfig()).eval()
    load_trunk(encoder, path)
    nn.init.zeros_(encoder.window_hidden.weight[:, 384:])  # what mn04 does not have
    return encoder, weights


@pytest.mark.parametrize("frames", [32, 100, 250])  # longer windows are heard by their parts, too
def test_it_begins_as_mn04(begun: tuple[NanoEncoder, dict[str, Tensor]], frames: int) -> None:
    encoder, weights = begun
    mel = torch.randn(2, frames, 128, generator=torch.Generator().manual_seed(frames))
    with torch.no_grad():
        ours, theirs = encoder(mel).clip_logits, by_hand(weights, mel.transpose(1, 2)[:, None])
    assert theirs.std() > 0.1
    assert torch.allclose(ours, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-4)


def test_other_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    save_file({"features.0.0.weight": torch.zeros(8, 1, 3, 3)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("other.safetensors", "text.safetensors", "missing.safetensors"):
        with pytest.raises(ModelError, match="does not hold EfficientAT's mn04"):
            load_trunk(NanoEncoder(NanoConfig()), tmp_path / name)
