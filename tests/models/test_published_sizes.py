"""Published sizes, on the meta device: the numbers that papers, cards and checkpoints state."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from samcli.checkpoints.catalogue import Entry, entries
from samcli.models.connectors import ConnectorConfig, build_connector
from samcli.models.encoders.registry import ENCODERS, SIZES, build_encoder
from samcli.models.lora import AdapterConfig, adapter_parameters, add_adapter
from samcli.models.sam import SamConfig, SamNetwork
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel

MAMBA_2_8B = LanguageConfig(d_model=2560, n_layer=64, d_state=16, layer="mamba", pad_vocab_size_multiple=8)
SSLALM = SamConfig(encoder=SIZES["dass-medium"], language=MAMBA_2_8B, connector=ConnectorConfig("convolution"))
WIDTHS = {"sam-130m": (768, 24), "sam-370m": (1024, 48), "sam-780m": (1536, 48), "sam-1.3b": (2048, 48),
          "sam-2.7b": (2560, 64)}  # fmt: skip
SAMS = {
    name: SamConfig(SIZES["eat-base"], LanguageConfig(d_model=width, n_layer=layers), ConnectorConfig("concat"))
    for name, (width, layers) in WIDTHS.items()
}
HEADLESS = {f"{name}-pretrain": replace(SIZES[name], classes=0) for name in ("eat-base", "eat-large")}


def build(name: str) -> Any:
    with torch.device("meta"):
        if name in SAMS or name == "sslalm":
            return SamNetwork(SAMS.get(name, SSLALM))
        return build_encoder({**SIZES, **HEADLESS}[name])


def sam_adapter(rank: int) -> AdapterConfig:
    """SAM's LoRA: on both projections of every block, alpha twice the rank."""
    return AdapterConfig(kind="lora", rank=rank, alpha=2.0 * rank, targets=("in_proj", "out_proj"))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


# layers, width, heads, rows of in_proj, channels of the convolution; and what the name promises, in millions
MAMBA2 = {
    "sam-130m": (24, 768, 24, 3352, 1792, 129),
    "sam-370m": (48, 1024, 32, 4384, 2304, 368),
    "sam-780m": (48, 1536, 48, 6448, 3328, 780),
    "sam-1.3b": (48, 2048, 64, 8512, 4352, 1344),
    "sam-2.7b": (64, 2560, 80, 10576, 5376, 2702),
}


@pytest.mark.parametrize("name", list(MAMBA2))
def test_mamba2_shapes_and_sizes(name: str) -> None:
    layers, width, heads, rows, channels, millions = MAMBA2[name]
    sam = build(name)
    found = shapes(sam.language)
    mixer = "backbone.layers.0.mixer."
    assert found[mixer + "in_proj.weight"] == (rows, width)
    assert found[mixer + "conv1d.weight"] == (channels, 1, 4) and found[mixer + "conv1d.bias"] == (channels,)
    assert found[mixer + "A_log"] == found[mixer + "D"] == found[mixer + "dt_bias"] == (heads,)
    assert found[mixer + "norm.weight"] == (2 * width,)
    assert found[mixer + "out_proj.weight"] == (width, 2 * width)
    assert found["backbone.embedding.weight"] == found["lm_head.weight"] == (50288, width)
    assert f"backbone.layers.{layers - 1}.norm.weight" in found
    assert f"backbone.layers.{layers}.norm.weight" not in found
    layer = rows * width + 5 * channels + 3 * heads + 2 * width + 2 * width * width + width
    assert count(sam.language) == layers * layer + 50288 * width + width
    assert count(sam.language) == pytest.approx(millions * 1e6, rel=0.001)


@pytest.mark.parametrize(
    ("name", "rank", "millions"),
    [
        ("sam-130m", 8, 1.23),
        ("sam-130m", 256, 39.5),
        ("sam-780m", 8, 4.8),
        ("sam-780m", 256, 154.7),
        ("sam-2.7b", 8, 10.7),
        ("sam-2.7b", 256, 341),
    ],
)
def test_adapter_sizes(name: str, rank: int, millions: float) -> None:
    config = SAMS[name]
    with torch.device("meta"):
        language = LanguageModel(config.language)
    before = count(language)
    add_adapter(language, sam_adapter(rank))
    trained = sum(parameter.numel() for parameter in adapter_parameters(language))
    assert count(language) == before + trained
    layers, width, _, rows, _, _ = MAMBA2[name]
    assert trained == layers * rank * (width + rows + 2 * width + width)
    assert trained == pytest.approx(millions * 1e6, rel=0.01)  # as the fact sheet rounds it
    assert sam_adapter(rank).alpha == 2 * rank


def test_sslalm() -> None:
    """DASS, 32 tokens, Mamba 2.8B, LoRA on the input projection: 6.5 M, 42 to 61 M trained in all."""
    sam = build("sslalm")
    assert count(sam.language) == pytest.approx(2.77e9, rel=0.001)
    assert shapes(sam.language)["backbone.embedding.weight"] == (50280, 2560)
    assert sam.encoder.grid() == (32, 4) and sam.connector.tokens(32) == 32
    add_adapter(sam.language, AdapterConfig(rank=8, alpha=16.0, targets=("in_proj",)))
    adapter = sum(parameter.numel() for parameter in adapter_parameters(sam.language))
    assert adapter == pytest.approx(6.55e6, rel=0.002)
    assert 42e6 < adapter + count(sam.connector) + count(sam.encoder) < 64e6


def test_sam_reads_ten_seconds_as_64_tokens() -> None:
    sam = build("sam-130m")
    assert sam.encoder.grid() == (64, 8) and sam.connector.tokens(64) == 64
    assert count(sam.connector) == 6144 * 768 + 768 + 768 * 768 + 768


def test_connector_widths_follow_the_language_model() -> None:
    for name in MAMBA2:
        config = SAMS[name]
        with torch.device("meta"):
            connector = build_connector(config.connector, 768, (64, 8), config.language.d_model)
        assert shapes(connector)["mlp.2.weight"] == (config.language.d_model, config.language.d_model)


SOUND = [entry for entry in entries().values() if entry.kind in ENCODERS]


@pytest.mark.parametrize("entry", SOUND, ids=lambda e: e.name)
def test_catalogued_encoders_are_of_the_registered_sizes(entry: Entry) -> None:
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.config.items()}
    config = ENCODERS[entry.kind].config(**fields)
    assert config in [*SIZES.values(), *HEADLESS.values()]
    with torch.device("meta"):
        encoder = build_encoder(config)
    stored = sum(value.numel() for value in encoder.state_dict().values())  # weights and fixed tables
    if entry.parameters:
        assert stored == pytest.approx(entry.parameters, rel=0.03)
    if entry.bytes:  # in float32
        assert 4 * stored == pytest.approx(entry.bytes, rel=0.03)
    assert ("tag" in entry.tasks) == bool(config.classes)


@pytest.mark.parametrize(
    "entry", [e for e in entries().values() if e.kind == "language" and e.bytes], ids=lambda e: e.name
)
def test_catalogued_language_models(entry: Entry) -> None:
    """The Hub's files hold each weight once, in single or half precision."""
    with torch.device("meta"):
        language = LanguageModel(LanguageConfig(**entry.config))
    each = (entry.bytes or 0) / count(language)
    assert min(abs(each - 2), abs(each - 4)) < 0.02


@pytest.mark.parametrize("entry", [entry for entry in entries().values() if entry.parts], ids=lambda e: e.name)
def test_catalogued_sams_are_made_of_the_published_parts(entry: Entry) -> None:
    encoder, language = (entries()[entry.parts[role]] for role in ("encoder", "language"))
    assert ENCODERS[encoder.kind].config(**encoder.config) == SAMS[entry.name].encoder
    assert LanguageConfig(**language.config) == SAMS[entry.name].language
