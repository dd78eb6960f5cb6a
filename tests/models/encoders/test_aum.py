"""AuM against a slow program of our own, written from the authors' order of operations, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from samcli.checkpoints.loading import load_model
from samcli.checkpoints.modules import load_folder
from samcli.errors import ModelError
from samcli.models.encoders.aum import Aum, AumConfig
from tests.ssm import textbook

WIDTH, INNER, LAYERS, STATE, BANDS, STEPS = 16, 32, 3, 4, 8, 6
TYPES = {"Fo-Fo": "forward", "Fo-Bi": "shared", "Bi-Bi": "both"}
Tensors = dict[str, Tensor]


def published(kind: str) -> Tensors:
    """Random weights under the authors' names."""
    torch.manual_seed(8)
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH), "pos_embed.pos_embed": (1, 1 + BANDS * STEPS, WIDTH), "norm_f.weight": (WIDTH,),
        "patch_embed.proj.weight": (WIDTH, 1, 16, 16), "patch_embed.proj.bias": (WIDTH,),
        "head.weight": (5, WIDTH), "head.bias": (5,),
    }  # fmt: skip
    for number in range(LAYERS):
        shapes[f"layers.{number}.norm.weight"] = (WIDTH,)
        mixer = f"layers.{number}.mixer."
        shapes |= {mixer + "in_proj.weight": (2 * INNER, WIDTH), mixer + "out_proj.weight": (WIDTH, INNER)}
        shapes |= {mixer + "A_log": (INNER, STATE)} | ({} if kind == "Fo-Fo" else {mixer + "A_b_log": (INNER, STATE)})
        for way in ("", "_b") if kind == "Bi-Bi" else ("",):
            shapes |= {f"{mixer}conv1d{way}.weight": (INNER, 1, 4), f"{mixer}conv1d{way}.bias": (INNER,)}
            shapes |= {f"{mixer}x_proj{way}.weight": (1 + 2 * STATE, INNER), f"{mixer}D{way}": (INNER,)}
            shapes |= {f"{mixer}dt_proj{way}.weight": (INNER, 1), f"{mixer}dt_proj{way}.bias": (INNER,)}
    return {name: torch.randn(shape) * (0.1 if "patch" in name else 0.4) for name, shape in shapes.items()}


def slow_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight


def slow_scan(w: Tensors, x: Tensor, z: Tensor, way: str, turned: bool, decays: str) -> Tensor:
    """One direction of a mixer; `turned` scans what was convolved forwards from its end."""
    tail = torch.zeros(len(x), 3, INNER)
    x = F.silu(textbook.slow_causal_convolution(x, w[f"conv1d{way}.weight"], w[f"conv1d{way}.bias"], tail))
    dt, B, C = (x @ w[f"x_proj{way}.weight"].T).split([1, STATE, STATE], dim=-1)
    dt = F.softplus(dt @ w[f"dt_proj{way}.weight"].T + w[f"dt_proj{way}.bias"])
    given = [part.flip(1) if turned else part for part in (x, dt, B, C)]
    y, _ = textbook.slow_selective_scan(given[0], given[1], -w[decays].exp(), given[2], given[3], w[f"D{way}"])
    return (y.flip(1) if turned else y) * F.silu(z)


def slow_logits(w: Tensors, frames: Tensor, kind: str) -> Tensor:
    """(batch, frames, 128) normalised, by loops."""
    picture = frames.transpose(1, 2)
    steps = frames.shape[1] // 16
    tokens = []
    for band in range(BANDS):
        for step in range(steps):
            patch = picture[:, 16 * band : 16 * band + 16, 16 * step : 16 * step + 16].flatten(1)
            tokens.append(patch @ w["patch_embed.proj.weight"].flatten(1).T + w["patch_embed.proj.bias"])
    middle = len(tokens) // 2
    first, *rest = w["pos_embed.pos_embed"][0]
    tokens = [token + place for token, place in zip(tokens, rest, strict=True)]
    tokens.insert(middle, (w["cls_token"][0, 0] + first).expand(len(frames), -1))
    x = torch.stack(tokens, dim=1)
    for number in range(LAYERS):
        prefix = f"layers.{number}.mixer."
        m = {name.removeprefix(prefix): value for name, value in w.items() if name.startswith(prefix)}
        inner, z = (slow_norm(x, w[f"layers.{number}.norm.weight"]) @ m["in_proj.weight"].T).chunk(2, dim=-1)
        y = slow_scan(m, inner, z, "", turned=False, decays="A_log")
        if kind == "Fo-Bi":
            y = y + slow_scan(m, inner, z, "", turned=True, decays="A_b_log")
        elif kind == "Bi-Bi":
            back = slow_scan(m, inner.flip(1), z.flip(1), "_b", turned=False, decays="A_b_log")
            y = (y + back.flip(1)) / 2
        x = x + y @ m["out_proj.weight"].T
    return slow_norm(x, w["norm_f.weight"])[:, middle] @ w["head.weight"].T + w["head.bias"]


def folder_of(weights: Tensors, folder: Path, prefix: str = "") -> Path:
    save_file({prefix + name: value for name, value in weights.items()}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("kind", TYPES)
def test_published_weights_give_the_slow_programs_numbers(kind: str, tmp_path: Path) -> None:
    weights = published(kind)
    piece = load_folder(folder_of(weights, tmp_path, "module."))
    assert piece.kind == "aum" and piece.config.ways == TYPES[kind] and piece.config.table_steps == STEPS
    frames = torch.randn(2, 16 * STEPS, 128)
    with torch.no_grad():
        found = piece.module.read(frames).clip_logits  # type: ignore[operator]
    torch.testing.assert_close(found, slow_logits(weights, frames, kind), rtol=1e-4, atol=1e-4)


def test_it_tags_and_hands_its_patches_on_time_by_time(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_classes": 5, "embed_dim": WIDTH}))
    model: Any = load_model(str(folder_of(published("Fo-Bi"), tmp_path)), device="cpu")
    assert model.tasks == {"tag"} and len(model.labels) == 5
    encoding = model.encode(torch.randn(1, 16_000) * 0.1, torch.tensor([16_000]))
    assert encoding.clip_logits.shape == (1, 5) and encoding.step_logits is None
    assert encoding.features.shape == (1, 7, BANDS * WIDTH)
    network = model.encoder
    frames = torch.randn(1, 1024, 128)
    with torch.no_grad():
        _, patches = network.encode(frames)  # frequency-major
        features = network.read(frames).features
    assert torch.equal(features[0, 10, 3 * WIDTH : 4 * WIDTH], patches[0, 3 * 64 + 10])


def test_positions_of_another_length_are_the_tables_resized() -> None:
    network = Aum(AumConfig(width=WIDTH, layers=1, table_steps=STEPS, classes=0))
    assert network.position_table(STEPS) is network.positions
    with torch.no_grad():
        network.positions[:, 1:] = torch.arange(float(BANDS)).repeat_interleave(STEPS)[:, None]
    longer = network.position_table(2 * STEPS)
    assert torch.equal(longer[:, :1], network.positions[:, :1])
    assert torch.allclose(longer[0, 1:, 0], torch.arange(float(BANDS)).repeat_interleave(2 * STEPS), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"patch_embed.proj.weight": torch.zeros(WIDTH, 1, 16, 8)}, "square ones"),
        ({"rope.freqs_cos": torch.zeros(4)}, "rotary positions"),
        ({"cls_token": None}, "no class token"),
        ({"norm_f.bias": torch.zeros(WIDTH)}, "norm_f.bias"),
    ],
)
def test_an_aum_of_another_kind_is_refused(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    weights = {name: value for name, value in (published("Fo-Bi") | change).items() if value is not None}
    with pytest.raises(ModelError, match=sentence):
        load_folder(folder_of(weights, tmp_path))
