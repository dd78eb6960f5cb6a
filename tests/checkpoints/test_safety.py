"""Hostile files: each is refused by one sentence with exit code 3, in a process that could not have done more.

The files are read in this process through the functions that `--model FOLDER` runs; a tracer of file writes and of
allocations shows that nothing was written and no large memory was taken.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.numpy import save, save_file

from samcli.checkpoints.convert import convert, read_pickle
from samcli.checkpoints.format import load_module
from samcli.checkpoints.loading import load_model
from samcli.checkpoints.modules import load_folder
from samcli.errors import ModelError


@pytest.fixture
def folder(honest: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "model"
    copy.mkdir()
    for path in honest.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def refusal(action: Callable[[], Any]) -> str:
    """The sentence of a refusal that took less than 32 MiB of Python's memory and wrote nothing."""
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            action()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 * 2**20
    assert caught.value.exit_code == 3
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def file_of(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def one(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


HEADERS = {
    "empty file": (b"", "ends before"),
    "seven bytes": (b"\0" * 7, "ends before"),
    "header longer than the file": (file_of({}, length=10**6), "ends before"),
    "header of 2**63 bytes": (file_of({}, length=2**63), "ends before"),
    "header of zero bytes": (file_of(b""), "not plain JSON"),
    "not json": (file_of(b"{'a': 1}"), "not plain JSON"),
    "not utf-8": (file_of(b'{"\xff": 1}'), "not plain JSON"),
    "a list": (file_of([1]), "not a JSON object"),
    "a repeated tensor": (file_of(b'{"a": {}, "a": {}}'), "not plain JSON"),
    "nested ten thousand deep": (file_of(b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "nested too deeply"),
    "infinity": (file_of(b'{"a": {"dtype": "F32", "shape": [Infinity], "data_offsets": [0, 8]}}'), "to inf"),
    "an integer of 5000 digits": (file_of(b'{"a": ' + b"9" * 5000 + b"}"), "not plain JSON"),
    "an entry that is a number": (file_of({"a": 3}), "incomplete"),
    "no offsets": (file_of({"a": {"dtype": "F32", "shape": [2]}}), "incomplete"),
    "unknown type": (file_of(one(dtype="F33"), b"\0" * 8), "unknown number type"),
    "a type that is a list": (file_of(one(dtype=[]), b"\0" * 8), "unknown number type"),
    "negative shape": (file_of(one(shape=[-2]), b"\0" * 8), "the shape"),
    "fractional shape": (file_of(one(shape=[2.0]), b"\0" * 8), "the shape"),
    "boolean shape": (file_of(one(shape=[True]), b"\0" * 8), "the shape"),
    "a hundred dimensions": (file_of(one(shape=[1] * 100), b"\0" * 8), "the shape"),
    "shape whose product overflows": (file_of(one(shape=[2**62, 2**62]), b"\0" * 8), "not its shape"),
    "shape larger than its bytes": (file_of(one(shape=[3]), b"\0" * 8), "not its shape"),
    "offsets backwards": (file_of(one(data_offsets=[8, 0]), b"\0" * 8), "not its shape"),
    "offsets behind the end": (file_of(one(data_offsets=[8, 16]), b"\0" * 8), "gap"),
    "bytes after the last tensor": (file_of(one(), b"\0" * 12), "12 bytes more"),
    "cut short": (file_of(one(), b"\0" * 4), "asks for"),
    "overlapping tensors": (file_of({**one(), "b": one(data_offsets=[4, 12])["a"]}, b"\0" * 12), "overlaps"),
    "the same bytes twice": (file_of({**one(), "b": one()["a"]}, b"\0" * 8), "overlaps"),
    "a hole": (file_of({**one(), "b": one(data_offsets=[12, 20])["a"]}, b"\0" * 20), "gap"),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_lying_headers(name: str, folder: Path) -> None:
    content, sentence = HEADERS[name]
    (folder / "model.safetensors").write_bytes(content)
    said = refusal(lambda: load_model(str(folder)))
    if name != "bytes after the last tensor":
        assert sentence in said
    assert "damaged" in said


def test_a_header_of_a_gigabyte_is_not_read(folder: Path) -> None:
    path = folder / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**30))
        file.truncate(2**31)
    assert "header claims" in refusal(lambda: load_model(str(folder)))


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "a billion layers": ({"n_layer": 10**9}, "layers"),
    "a million layers": ({"n_layer": 10**6}, "layers"),
    "a width of 2**40": ({"d_model": 2**40}, "more than its weights hold"),
    "a vocabulary of 10**15": ({"vocab_size": 10**15}, "more than its weights hold"),
    "a state of 2**62": ({"d_state": 2**62}, "more than its weights hold"),
    "an integer no float can hold": ({"norm_eps": 10**400}, "more than its weights hold"),
    "a negative width": ({"d_model": -32}, ""),
    "a width of nothing": ({"d_model": 0}, ""),
    "a fractional width": ({"d_model": 32.5}, "where int is expected"),
    "a width in words": ({"d_model": "wide"}, "where int is expected"),
    "a width that is true": ({"d_model": True}, "where int is expected"),
    "a list of layers": ({"n_layer": [2, 2]}, "where int is expected"),
    "other honest sizes": ({"d_model": 64, "d_state": 32}, "mis-shaped"),
    "one layer less": ({"n_layer": 1}, "unexpected"),
    "heads that do not divide": ({"headdim": 48}, "no model of the kind language"),
    "an unknown key": ({"trust_remote_code": True}, "does not know"),
    "an unknown kind": ({"model_type": "../../x"}, "the model_type '../../x'"),
    "a kind that is a list": ({"model_type": []}, "model_type"),
    "an infinite norm": ({"norm_eps": float("inf")}, "to inf"),
    "not a number": ({"norm_eps": float("nan")}, "to nan"),
    "a kind of layer from nowhere": ({"layer": "os.system"}, "no"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_absurd_configs(name: str, folder: Path) -> None:
    changes, sentence = CONFIGS[name]
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    for load in (load_module, load_folder):
        assert sentence in refusal(lambda load=load: load(folder))  # type: ignore[misc]


def test_missing_unexpected_and_misshaped_are_listed_apart(folder: Path) -> None:
    from safetensors.torch import load_file
    from safetensors.torch import save_file as save_torch

    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["stranger"] = torch.zeros(3)
    del tensors["backbone.norm_f.weight"]
    tensors["backbone.layers.0.mixer.D"] = torch.zeros(7)
    tensors["backbone.layers.1.mixer.D"] = torch.zeros(4, dtype=torch.int64)
    save_torch(tensors, path)
    with pytest.raises(ModelError) as caught:
        load_module(folder)
    error: Any = caught.value
    assert error.missing == ["backbone.norm_f.weight"]
    assert error.unexpected == ["'stranger'"]
    assert [name.partition(":")[0] for name in error.misshaped] == ["backbone.layers.0.mixer.D"]
    assert [name.partition(":")[0] for name in error.mistyped] == ["backbone.layers.1.mixer.D"]
    for word in ("missing", "unexpected", "mis-shaped", "number type"):
        assert word in str(error)


def test_an_eight_bit_float_is_refused_by_name(folder: Path) -> None:
    header = {"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}
    (folder / "model.safetensors").write_bytes(file_of(header, b"\0\0"))
    (folder / "config.json").unlink()
    assert "F8_E4M3" in refusal(lambda: load_folder(folder))


NAMES = ["../model/x.safetensors", "/etc/passwd", "..", "a/b.safetensors", "", "x\0.safetensors", "C:x", 7, None, ["x"]]


@pytest.mark.parametrize("name", NAMES)
def test_an_index_that_leaves_the_folder(name: Any, folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    assert "does not lie in that folder" in refusal(lambda: load_model(str(folder)))


def test_an_index_that_lies(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"nowhere": "model.safetensors"}}))
    assert "that the index places there" in refusal(lambda: load_model(str(folder)))
    index.write_text(json.dumps({"weight_map": {"a": "config.json"}}))
    assert "not a safetensors file" in refusal(lambda: load_model(str(folder)))
    index.write_text(json.dumps({"weight_map": {"a": "missing.safetensors"}}))
    assert "cannot be read" in refusal(lambda: load_model(str(folder)))
    index.write_text("{}")
    assert "maps no weights" in refusal(lambda: load_model(str(folder)))


def test_a_tensor_in_two_shards(folder: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"x": numpy.zeros(2, numpy.float32)}, folder / name)
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "is also in" in refusal(lambda: load_model(str(folder)))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_link_out_of_the_folder(name: str, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes((folder / name).read_bytes() if (folder / name).exists() else b"{}")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    config = json.loads((folder / "config.json").read_text())
    if name == "tokenizer.json":  # only a model whose vocabulary needs it reads the tokenizer
        published = {"model_type": "mamba2", "vocab_size": 64, "n_groups": 1}
        (folder / "config.json").write_text(json.dumps(published))
    assert config and "outside its folder" in refusal(lambda: load_model(str(folder)))


def test_links_inside_the_hubs_cache_are_its_way(folder: Path, tmp_path: Path) -> None:
    repo = tmp_path / "models--org--name"
    snapshot = repo / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    for path in folder.iterdir():
        (repo / "blobs" / path.name).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    assert load_folder(snapshot).kind == "language"
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to("../../../model/config.json")
    assert "outside its folder" in refusal(lambda: load_folder(snapshot))


def test_a_cache_whose_blobs_are_a_link_elsewhere(folder: Path, tmp_path: Path) -> None:
    repo = tmp_path / "models--org--name"
    snapshot = repo / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repo / "blobs").symlink_to(folder)
    for path in folder.iterdir():
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    assert "outside its folder" in refusal(lambda: load_folder(snapshot))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_pipe_does_not_hang(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "not a regular file" in refusal(lambda: load_model(str(folder)))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARK}",)


MARK = ""


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """A checkpoint that would make a file when opened carelessly."""
    global MARK
    MARK = str(tmp_path / "exploded")
    folder = tmp_path / "bomb"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    torch.save({"weight": torch.zeros(2), "bomb": Bomb()}, folder / "pytorch_model.bin")
    return folder


def test_pickles_alone_are_not_opened(bomb: Path) -> None:
    assert "sam models convert" in refusal(lambda: load_model(str(bomb)))
    assert not Path(MARK).exists()


@pytest.mark.parametrize("style", ["zip", "legacy", "plain"])
def test_converting_a_pickle_runs_nothing(style: str, bomb: Path, tmp_path: Path) -> None:
    path = bomb / "pytorch_model.bin"
    if style == "legacy":
        torch.save({"bomb": Bomb()}, path, _use_new_zipfile_serialization=False)
    elif style == "plain":
        path.write_bytes(pickle.dumps({"bomb": Bomb()}))
    before = sorted(tmp_path.rglob("*"))
    assert "closed" in refusal(lambda: convert(str(bomb), tmp_path / "out"))
    assert sorted(tmp_path.rglob("*")) == before
    pickle.loads(pickle.dumps(Bomb()))  # the bomb is live: it does explode when opened carelessly
    assert Path(MARK).exists()


def views(kind: str) -> dict[str, torch.Tensor]:
    one, block = torch.zeros(()), torch.zeros(64)
    return {
        "one number": {"weight": one.expand(50_000, 50_000)},
        "overlapping rows": {"weight": block.as_strided((32, 32), (1, 1))},
        "many names": {f"weight{number}": block for number in range(200)},
    }[kind]


@pytest.mark.parametrize("style", ["zip", "legacy"])
@pytest.mark.parametrize("kind", ["one number", "overlapping rows", "many names"])
def test_views_that_make_much_of_little_are_refused(kind: str, style: str, tmp_path: Path) -> None:
    """Ten gigabytes of numbers in a file of a kilobyte: nothing may be made of them, in memory or on disk."""
    path = tmp_path / "pytorch_model.bin"
    torch.save(views(kind), path, _use_new_zipfile_serialization=style == "zip")
    assert path.stat().st_size < 50_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = refusal(lambda: convert(str(path), tmp_path / "out"))
    assert "claims" in said or "many names" in said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 200_000  # KiB
    assert not (tmp_path / "out").exists()


def test_weights_under_two_names_are_no_such_view(tmp_path: Path) -> None:
    weight = torch.randn(8, 8)
    torch.save({"embedding": weight, "head": weight, "part": weight[:2], "turned": weight.T}, tmp_path / "tied.bin")
    assert sorted(read_pickle(tmp_path / "tied.bin")) == ["embedding", "head", "part", "turned"]


def test_a_config_of_a_gigabyte_is_not_read(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(2**30)
    assert "larger than" in refusal(lambda: load_model(str(folder)))


def test_published_configs_with_infinity_load(folder: Path) -> None:
    """Every published Mamba-2 config has it, in the one place where it is meant."""
    words = {"model_type": "mamba2", "vocab_size": 64, "n_groups": 1, "time_step_limit": [0.0, float("inf")]}
    (folder / "config.json").write_text(json.dumps(words))
    assert "Infinity" in (folder / "config.json").read_text()
    assert load_folder(folder).config.d_state == 16


@pytest.mark.parametrize("raw", [b"", b"{}", b"not json", b"\xff" * 100, b'{"model": {"type": "BPE"}}', b"[" * 100_000])
def test_a_tokenizer_that_is_none(raw: bytes, folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(raw)
    (folder / "config.json").write_text(json.dumps({"model_type": "mamba2", "vocab_size": 64, "n_groups": 1}))
    assert "not a tokenizer" in refusal(lambda: load_folder(folder))


LAYOUTS = {
    "dass": {"module.v.layers.9999.blocks.9999.op.A_logs": [4, 1], "module.v.patch_embed.0.weight": [4, 1, 3, 3]},
    "eat": {"model.blocks.0.attn.qkv.weight": [3, 1], "model.blocks.9999.norm1.weight": [1]},
    "ssamba": {"module.v.layers.0.mixer.conv1d_b.weight": [4, 1, 4], "module.v.layers.9999.norm.weight": [1]},
    "mlmamba": {"bidirectional_mamba.x": [1]},
    "mamba": {"backbone.layers.0.mixer.in_proj.weight": [0, 0], "backbone.layers.0.mixer.D": []},
    "nobody's": {"a": [1]},
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_of_a_layout_around_nothing(layout: str, tmp_path: Path) -> None:
    tensors = {name: numpy.zeros(shape, numpy.float32) for name, shape in LAYOUTS[layout].items()}
    (tmp_path / "model.safetensors").write_bytes(save(tensors))
    refusal(lambda: load_model(str(tmp_path)))
