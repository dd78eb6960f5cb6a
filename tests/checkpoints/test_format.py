"""Our folder format: what is written comes back, nothing is half there, loading takes no more memory than it must."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from samcli.checkpoints.configs import config_from_json, config_to_json
from samcli.checkpoints.format import KINDS, build, load_module, save_module
from samcli.checkpoints.modules import load_folder
from samcli.checkpoints.tiny import tiny_config, tiny_network, tiny_tokenizer
from samcli.errors import ModelError
from samcli.models.encoders.dass import Dass, DassConfig
from samcli.models.encoders.eat import Eat, EatConfig
from samcli.models.encoders.nano import NanoConfig, NanoEncoder
from samcli.models.encoders.ssamba import Ssamba, SsambaConfig
from samcli.models.sam import SamConfig, SamNetwork
from samcli.ssm.bidirectional import BidirectionalConfig
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.language.phi import PhiConfig, PhiLanguageModel
from tests.checkpoints.conftest import ROOT

SMALL: dict[str, tuple[Any, Any]] = {
    "language": (LanguageModel, LanguageConfig(d_model=32, n_layer=2, vocab_size=53, d_state=16, headdim=16)),
    "mamba": (LanguageModel, LanguageConfig(d_model=32, n_layer=2, vocab_size=53, d_state=4, layer="mamba")),
    "untied": (LanguageModel, LanguageConfig(d_model=32, n_layer=1, vocab_size=53, headdim=16, tie_embeddings=False)),
    "nano": (
        NanoEncoder,
        NanoConfig(trunk="tiny", hidden=16, layers=1, mixer=BidirectionalConfig(16, 8, head_dim=8), classes=5),
    ),
    "dass": (Dass, DassConfig(widths=(8, 16), depths=(1, 2), classes=7)),
    "eat": (Eat, EatConfig(width=48, layers=1, heads=4, max_steps=72, classes=7)),
    "ssamba": (Ssamba, SsambaConfig(width=32, layers=2, table_steps=8, classes=7)),
    "phi": (PhiLanguageModel, PhiConfig(16, 2, 29, d_state=4, heads=4, qk_heads=2)),
    "phi llama": (
        PhiLanguageModel,
        PhiConfig(16, 2, 29, heads=4, qk_heads=4, block="llama", norm="rms", mlp="gated-silu", tie_embeddings=True),
    ),
    "sam": (SamNetwork, tiny_config(300)),
    "sam phi": (SamNetwork, replace(tiny_config(300), language=PhiConfig(16, 2, 29, d_state=4, heads=4, qk_heads=2))),
}  # fmt: skip


@pytest.mark.parametrize("kind", SMALL)
def test_every_kind_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    make, config = SMALL[kind]
    module = make(config)
    save_module(tmp_path / "model", module, config, card="# card\n")
    again, read = load_module(tmp_path / "model")
    assert read == config and type(read) is type(config)
    assert not again.training
    wanted = module.state_dict()
    found = again.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert load_folder(tmp_path / "model").config == config
    assert (tmp_path / "model" / "README.md").read_text() == "# card\n"


@pytest.mark.parametrize("kind", SMALL)
def test_the_config_file_is_exactly_the_dataclass(kind: str, tmp_path: Path) -> None:
    make, config = SMALL[kind]
    save_module(tmp_path / "model", make(config), config)
    written = json.loads((tmp_path / "model" / "config.json").read_text())
    assert written.pop("model_type") in (kind.partition(" ")[0], "language")
    assert written == json.loads(json.dumps(asdict(config)))
    assert list(written) == [field.name for field in fields(config)]


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        LanguageConfig,
        d_model=st.integers(1, 10**6),
        chunk_size=st.none() | st.integers(1, 512),
        tie_embeddings=st.booleans(),
        norm_eps=st.floats(1e-9, 1e-3),
        layer=st.text(max_size=20),
    )
)
def test_any_config_survives_json(config: LanguageConfig) -> None:
    text = json.dumps(config_to_json(config))
    assert config_from_json(LanguageConfig, json.loads(text), Path("config.json")) == config


def test_nested_configs_keep_their_kinds() -> None:
    for encoder in (NanoConfig(), EatConfig(), DassConfig(classes=3)):
        config = SamConfig(encoder=encoder, language=LanguageConfig())
        again = config_from_json(SamConfig, json.loads(json.dumps(config_to_json(config))), Path("config.json"))
        assert again == config and type(again.encoder) is type(encoder)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ({**asdict(PhiConfig()), "heads": "many"}, "sets 'language.heads' to 'many', where int is expected"),
        ({**asdict(LanguageConfig()), "bias": 2}, "sets 'language.bias' to '2', where bool is expected"),
        ({**asdict(LanguageConfig()), "heads": 2}, "has the key 'language.heads', which"),
        (2, "where LanguageConfig | PhiConfig is expected"),
    ],
)
def test_one_of_several_configs_is_refused_in_its_own_words(language: Any, sentence: str) -> None:
    data = config_to_json(tiny_config(300)) | {"language": language}
    with pytest.raises(ModelError) as caught:
        config_from_json(SamConfig, data, Path("config.json"))
    assert sentence in str(caught.value)


def test_large_models_are_written_in_shards(tmp_path: Path) -> None:
    make, config = SMALL["language"]
    module = make(config)
    save_module(tmp_path / "model", module, config, shard_bytes=10_000)
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    shards = sorted((tmp_path / "model").glob("*.safetensors"))
    assert len(shards) > 3
    assert {path.name for path in shards} == set(index["weight_map"].values())
    assert index["metadata"]["total_size"] == sum(t.nbytes for path in shards for t in load_file(path).values())
    for path in shards:
        held = sum(tensor.nbytes for tensor in load_file(path).values())
        assert held <= 10_000 or len(load_file(path)) == 1
    again, _ = load_module(tmp_path / "model")
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in again.state_dict().items())


def test_tied_weights_are_stored_once_and_tied_again(tmp_path: Path) -> None:
    make, config = SMALL["language"]
    save_module(tmp_path / "model", make(config), config)
    with safe_open(tmp_path / "model" / "model.safetensors", framework="pt") as file:
        assert "lm_head.weight" not in file.keys() or "backbone.embedding.weight" not in file.keys()  # noqa: SIM118
    again, _ = load_module(tmp_path / "model")
    assert again.lm_head.weight is again.backbone.embedding.weight


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_are_cast_on_the_way(dtype: torch.dtype, tmp_path: Path) -> None:
    make, config = SMALL["nano"]
    module = make(config)
    save_module(tmp_path / "model", module, config, dtype=torch.float16)
    again, _ = load_module(tmp_path / "model", dtype=dtype)
    for name, value in again.state_dict().items():
        stored = module.state_dict()[name]
        kind = dtype if stored.is_floating_point() else stored.dtype  # counters stay counters
        assert value.dtype == kind
        assert torch.equal(value, stored.to(torch.float16).to(kind) if stored.is_floating_point() else stored)


def test_a_failed_save_leaves_the_old_model_and_no_trace(tmp_path: Path) -> None:
    make, config = SMALL["language"]
    save_module(tmp_path / "model", make(config), config)
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    with pytest.raises(FileNotFoundError):
        save_module(tmp_path / "model", make(config), config, tokenizer=tmp_path / "nowhere.json")
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_saving_over_something_that_is_no_model_is_refused(tmp_path: Path) -> None:
    make, config = SMALL["language"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    for name in ("photos", "file"):
        with pytest.raises(ModelError, match="is not a model"):
            save_module(tmp_path / name, make(config), config)
    assert (tmp_path / "photos" / "me.jpg").exists() and (tmp_path / "file").exists()


KILLED = """
import sys
from pathlib import Path
import torch
from samcli.checkpoints.format import save_module
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
config = LanguageConfig(d_model=64, n_layer=4, vocab_size=2000, headdim=16)
while True:
    module = LanguageModel(config)
    save_module(Path(sys.argv[1]), module, config, shard_bytes=100_000)
    print("saved", flush=True)
"""


@pytest.mark.parametrize(
    "moment", [0.013, *(pytest.param(moment, marks=pytest.mark.stress) for moment in (0.0, 0.021, 0.029, 0.041, 0.06))]
)
def test_killed_while_saving(moment: float, tmp_path: Path) -> None:
    """Whenever the process dies, the folder is whole: the old model, the new one, or (between two renames) aside."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "model")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "saved\n"
    time.sleep(moment)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    if not (tmp_path / "model").exists():
        (old,) = tmp_path.glob(".model.*.old")
        old.rename(tmp_path / "model")
    module, _ = load_module(tmp_path / "model")
    assert sum(parameter.numel() for parameter in module.parameters()) > 100_000


MEASURED = """
import sys
from pathlib import Path
import torch
from samcli.checkpoints.format import load_module
def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))
folder, dtype = Path(sys.argv[1]), getattr(torch, sys.argv[2])
load_module(Path(sys.argv[3]), dtype=dtype)  # imports and allocator warmed up on a small model
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
module, _ = load_module(folder, dtype=dtype)
weights = sum(parameter.numel() * parameter.element_size() for parameter in set(module.parameters()))
print((status("VmHWM") - before) / weights)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ("float16", "float32"),
        pytest.param("float32", "float32", marks=pytest.mark.slow),
        pytest.param("float32", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_peak_memory_is_that_of_the_weights_in_their_target_type(stored: str, wanted: str, tmp_path: Path) -> None:
    config = LanguageConfig(d_model=768, n_layer=4, vocab_size=30_000)
    save_module(tmp_path / "large", LanguageModel(config), config, dtype=getattr(torch, stored))
    make, small = SMALL["language"]
    save_module(tmp_path / "small", make(small), small)
    arguments = [sys.executable, "-c", MEASURED, str(tmp_path / "large"), wanted, str(tmp_path / "small")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert 0.9 < float(done.stdout) <= 1.2


def test_blueprints_take_no_memory_and_no_compiler() -> None:
    """Every kind at its published size has the right shapes, without memory and without torch's compiler."""
    program = """
import sys
import torch
from samcli.checkpoints.format import build
from samcli.models.encoders.registry import SIZES
from samcli.models.sam import SamConfig
from samcli.ssm.language.blocks import LanguageConfig
from samcli.checkpoints.format import kind_of
large = SamConfig(SIZES["eat-base"], LanguageConfig(d_model=2560, n_layer=64))
for name, config in {**SIZES, "sam-2.7b": large}.items():
    module = build(kind_of(config), config)
    held = sum(p.numel() for p in module.parameters() if not p.is_meta)
    total = sum(p.numel() for p in module.parameters())
    assert held < 4_000_000, (name, held)
assert "sympy" not in sys.modules and "torch._dynamo" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)


@pytest.mark.parametrize("kind", ["language", "phi", "nano", "dass", "eat", "ssamba"])
def test_a_blueprint_has_the_shapes_of_the_real_thing(kind: str) -> None:
    config = KINDS[kind].config(**({"n_layer": 2} if kind == "language" else {}))
    drawn = build(kind, config).state_dict()
    with torch.device("meta"):
        real = SMALL[kind][0](config)
    assert {name: value.shape for name, value in drawn.items()} == {n: v.shape for n, v in real.state_dict().items()}


def test_tiny_random_is_the_same_whatever_was_drawn_before(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    torch.manual_seed(5)
    first = tiny_network(tokenizer)
    drawn = torch.rand(3)
    second = tiny_network(tokenizer)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)
