"""A transformer of two small blocks, in the form of a Llama's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from samcli.text.tokenizer import LEAST_SIZE, train_tokenizer
from samcli.training.language.random_scenes import random_sentences

VOCABULARY = LEAST_SIZE + 100
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": VOCABULARY,
}


def save_llama(folder: Path, **own: Any) -> None:
    """Random weights, large enough for its attention to choose among tokens."""
    words = {"model_type": "llama", **SIZES, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 1e4} | own
    width, mlp, shared = words["hidden_size"], words["intermediate_size"], words["num_key_value_heads"] * 8
    torch.manual_seed(0)

    def matrix(outputs: int, inputs: int) -> torch.Tensor:
        return torch.randn(outputs, inputs) * 1.5 * inputs**-0.5

    weights = {"model.embed_tokens.weight": matrix(VOCABULARY, width), "model.norm.weight": torch.ones(width)}
    for number in range(words["num_hidden_layers"]):
        block = f"model.layers.{number}"
        for name, outputs in (("q", width), ("k", shared), ("v", shared), ("o", width)):
            weights[f"{block}.self_attn.{name}_proj.weight"] = matrix(outputs, width)
            if words.get("attention_bias"):
                weights[f"{block}.self_attn.{name}_proj.bias"] = torch.randn(outputs) * 0.1
        for name, outputs, inputs in (("gate", mlp, width), ("up", mlp, width), ("down", width, mlp)):
            weights[f"{block}.mlp.{name}_proj.weight"] = matrix(outputs, inputs)
        for name in ("input", "post_attention"):
            weights[f"{block}.{name}_layernorm.weight"] = 1 + torch.randn(width) * 0.1
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(words))
    save_file(weights, folder / "model.safetensors")


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teachers") / "llama"
    save_llama(folder)
    train_tokenizer(random_sentences(300), VOCABULARY).save(folder)
    return folder
