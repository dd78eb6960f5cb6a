"""The teacher against the library it comes from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from samcli.errors import ModelError
from samcli.training.mohawk.reading import read_teacher
from tests.training.mohawk.conftest import SIZES, VOCABULARY, save_llama

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama, grouped": ("LlamaConfig", {"num_key_value_heads": 2}),
    "llama, tied": ("LlamaConfig", {"num_key_value_heads": 1, "tie_word_embeddings": True, "rope_theta": 5e4}),
    "llama, biases in the attention": ("LlamaConfig", {"attention_bias": True}),
    "llama, wide heads": ("LlamaConfig", {"head_dim": 16}),
    "phi": ("PhiConfig", {"partial_rotary_factor": 0.5}),
    "phi, grouped": ("PhiConfig", {"num_key_value_heads": 2, "partial_rotary_factor": 0.25}),
    "neox": ("GPTNeoXConfig", {"rotary_pct": 0.25}),
    "neox, one after the other": ("GPTNeoXConfig", {"rotary_pct": 0.5, "use_parallel_residual": False}),
    "neox, tied, no biases": ("GPTNeoXConfig", {"tie_word_embeddings": True, "attention_bias": False}),
}


@pytest.mark.slow  # the library alone takes several seconds to import
@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_transformers_computes(case: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    name, own = CASES[case]
    config = getattr(transformers, name)(**SIZES, **own, pad_token_id=0, attn_implementation="eager")
    torch.manual_seed(0)
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for parameter in theirs.parameters():  # norms and biases begin at one and zero, which would hide a mistake
        parameter += torch.randn_like(parameter) * 0.1
    theirs.save_pretrained(tmp_path)
    ours, tokens = read_teacher(tmp_path), torch.randint(0, VOCABULARY, (2, 19))
    wanted = theirs(input_ids=tokens, output_attentions=True, output_hidden_states=True)
    streams = ours.streams(tokens)
    torch.testing.assert_close(ours(tokens)[0], wanted.logits, rtol=1e-4, atol=1e-5)
    for layer, x, hidden, matrix in zip(
        ours.backbone.layers, streams, wanted.hidden_states, wanted.attentions, strict=False
    ):
        block: Any = layer
        torch.testing.assert_close(x, hidden, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(block.mixer.transfer_matrix(block.input_layernorm(x)), matrix, rtol=1e-4, atol=1e-5)


def test_its_matrix_is_what_its_attention_does(teacher_folder: Path) -> None:
    """The fast way makes no matrix."""
    block: Any = read_teacher(teacher_folder).backbone.layers[0]
    x = torch.randn(2, 11, SIZES["hidden_size"])
    attention = block.mixer
    values = attention._heads(attention.v(x))
    mixed = (attention.transfer_matrix(x) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention.out_proj(mixed), attention(x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2', which cannot teach here: llama, phi, gpt_neox can"),
        ({"model_type": None}, "model_type 'None'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "stretches its positions by 'llama3'"),
        ({"sliding_window": 16}, "attends in windows"),
        ({"hidden_act": "relu"}, "sets hidden_act to 'relu'"),
        ({"num_attention_heads": "four"}, "sets num_attention_heads to 'four'"),
        ({"num_attention_heads": 3, "head_dim": 12}, "3 heads of 12 channels"),
        ({"num_key_value_heads": 3}, "does not describe a transformer"),
        ({"rms_norm_eps": 0}, "sets rms_norm_eps to '0'"),
        ({"hidden_size": 64}, "do not fit"),
        ({"num_hidden_layers": 10**6}, "layers"),
    ],
)
def test_what_it_cannot_do_is_said(words: dict[str, Any], said: str, tmp_path: Path) -> None:
    save_llama(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | words))
    with pytest.raises(ModelError) as caught:
        read_teacher(tmp_path)
    assert said in str(caught.value)


def test_a_folder_without_a_transformer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no transformer"):
        read_teacher(tmp_path)


def test_a_missing_bias_is_missed(tmp_path: Path) -> None:
    save_llama(tmp_path, attention_bias=True)
    weights = load_file(tmp_path / "model.safetensors")
    assert read_teacher(tmp_path).attention.bias
    del weights["model.layers.0.self_attn.q_proj.bias"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"missing \(backbone.layers.0.mixer.q.bias"):
        read_teacher(tmp_path)
