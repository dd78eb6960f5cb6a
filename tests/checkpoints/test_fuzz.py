"""Any bytes, any config, any shapes: an answer or one sentence, never a crash. Found by hypothesis, not by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from samcli.checkpoints.convert import read_pickle
from samcli.checkpoints.modules import load_folder
from samcli.checkpoints.safety import read_header, read_json
from samcli.errors import ModelError
from tests.checkpoints.conftest import ROOT

FIXTURES = ROOT / "tests" / "fixtures"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
WORDS = (
    "model_type", "d_model", "n_layer", "vocab_size", "d_state", "d_conv", "expand", "headdim", "ngroups", "chunk_size",
    "pad_vocab_size_multiple", "tie_embeddings", "norm_eps", "layer", "dt_rank", "ssm_cfg", "attn_layer_idx", "Block1",
    "n_groups", "time_step_limit", "tie_word_embeddings", "layer_norm_epsilon", "id2label", "num_heads", "mel_bins",
)  # fmt: skip
KINDS_OF_TYPE = st.sampled_from(["language", "mamba2", "mamba", "eat", "dass", "sam", "nano", "phi", "adapter"])


@settings(max_examples=250, deadline=None)
@given(
    changes=st.dictionaries(st.sampled_from(WORDS), JSON, max_size=4),
    kind=st.none() | KINDS_OF_TYPE,
    fixture=st.sampled_from(["ours", "eat", "dass_hf", "mamba1_lm", "phi_mamba", "ssamba"]),
)
def test_any_config_beside_any_weights(
    honest: Path, tmp_path_factory: Any, changes: dict[str, Any], kind: str | None, fixture: str
) -> None:
    """Whatever a config says, the weights load or one sentence says why not; there is no third way."""
    folder = tmp_path_factory.mktemp("fuzz")
    weights = honest / "model.safetensors" if fixture == "ours" else FIXTURES / fixture / "weights.safetensors"
    shutil.copyfile(weights, folder / "model.safetensors")
    words = json.loads((honest / "config.json").read_text()) if fixture == "ours" else {}
    (folder / "config.json").write_text(json.dumps({**words, **({"model_type": kind} if kind else {}), **changes}))
    try:
        piece = load_folder(folder)
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert all(not parameter.is_meta for parameter in piece.module.parameters())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_known_names_with_any_shapes(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Published names around tensors of any small shape: an answer, never a crash."""
    fixture = data.draw(
        st.sampled_from(["eat", "dass_hf", "dass_original", "mamba1_lm", "mamba2_lm", "phi_mamba", "ssamba"])
    )
    spots = read_header(FIXTURES / fixture / "weights.safetensors")
    shapes = {name: list(spot.shape) for name, spot in spots.items()}
    for name in data.draw(st.lists(st.sampled_from(sorted(shapes)), min_size=1, max_size=5)):
        change = data.draw(st.sampled_from(["drop", "shape", "number"]))
        if change == "drop":
            shapes.pop(name, None)
        elif change == "shape" and name in shapes:
            shapes[name] = data.draw(st.lists(st.integers(0, 40), max_size=4))
        elif name in shapes:
            shapes[name.replace("0", str(data.draw(st.integers(0, 10**6))))] = shapes.pop(name)
    folder = tmp_path_factory.mktemp("fuzz")
    save_file({name: numpy.zeros(shape, numpy.float16) for name, shape in shapes.items()}, folder / "x.safetensors")
    try:
        load_folder(folder)
    except ModelError as error:
        assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_of_a_byte_is_refused_or_harmless(honest: Path, tmp_path_factory: Any, data: st.DataObject) -> None:
    """Whatever bytes change, the header is either refused by a sentence or still tiles the file exactly."""
    raw = bytearray((honest / "model.safetensors").read_bytes())
    length = 8 + int.from_bytes(raw[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, length - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw
    path = tmp_path_factory.mktemp("fuzz") / "x.safetensors"
    path.write_bytes(raw)
    try:
        spots = sorted(read_header(path).values(), key=lambda spot: (spot.start, spot.end))
    except ModelError:
        return
    ends = [8 + int.from_bytes(raw[:8], "little"), *(spot.end for spot in spots)]
    assert [spot.start for spot in spots] == ends[:-1] and ends[-1] == len(raw)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_as_json_or_header(tmp_path_factory: Any, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x"
    path.write_bytes(raw)
    for read in (read_json, read_header, read_pickle):
        try:
            read(path)
        except ModelError as error:
            assert "\n" not in str(error)
