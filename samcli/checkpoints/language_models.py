"""Published language models - Mamba, Mamba-2, Phi-Mamba: which layout, which sizes, which names.

Mamba comes in two layouts, state-spaces' own and the one of the transformers library; they differ in the name of the
embedding and in the words of config.json. Sizes are read from the tensors; the config says only what no shape can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samcli.checkpoints.safety import shown
from samcli.errors import ModelError
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.phi import PhiConfig

Shapes = Mapping[str, tuple[int, ...]]
FIRST = "backbone.layers.0.mixer."


def published_language(data: Mapping[str, Any], names: Mapping[str, Any]) -> str | None:
    """Which kind of language model these published tensors are, if any (our own have a model_type of ours)."""
    if data.get("model_type") not in (None, "mamba", "mamba2") or f"{FIRST}in_proj.weight" not in names:
        return None
    return "phi" if f"{FIRST}z_bias" in names else "language" if f"{FIRST}D" in names else None


def rename_language(names: Mapping[str, Any]) -> dict[str, str]:
    return {name: name.replace("backbone.embeddings.", "backbone.embedding.") for name in names}


def language_config(shapes: Shapes, data: Mapping[str, Any], where: Path) -> LanguageConfig:
    """The sizes of a Mamba or Mamba-2 model from its tensors (under our names) and its config."""
    words = {**data, **_object(data.get("ssm_cfg"))}
    _refuse_what_we_lack(words, where)
    rows, d_model = _shape(shapes, "backbone.embedding.weight", 2, where)
    inner = _shape(shapes, f"{FIRST}out_proj.weight", 2, where)[1]
    channels, _, d_conv = _shape(shapes, f"{FIRST}conv1d.weight", 3, where)
    layers = {name.split(".")[2] for name in shapes if name.startswith("backbone.layers.")}
    tied = bool(words.get("tie_embeddings", words.get("tie_word_embeddings", True)))
    common: dict[str, Any] = {
        "d_model": d_model,
        "n_layer": len(layers),
        "d_conv": d_conv,
        "expand": _whole(inner, d_model, where),
        "tie_embeddings": tied or "lm_head.weight" not in shapes,
        "norm_eps": _number(words, ("norm_epsilon", "layer_norm_epsilon"), 1e-5),
        **_vocabulary(rows, words, where),
    }
    if f"{FIRST}x_proj.weight" in shapes:
        d_state = _shape(shapes, f"{FIRST}A_log", 2, where)[1]
        dt_rank = _shape(shapes, f"{FIRST}dt_proj.weight", 2, where)[1]
        return LanguageConfig(layer="mamba", d_state=d_state, dt_rank=dt_rank, **common)
    heads = _shape(shapes, f"{FIRST}A_log", 1, where)[0]
    if _shape(shapes, f"{FIRST}D", 1, where)[0] != heads:
        raise ModelError(f"{where} has a D for every channel of a head, which sam does not have.")
    groups = int(_number(words, ("ngroups", "n_groups"), 1))
    d_state = _whole(channels - inner, 2 * groups, where)
    return LanguageConfig(d_state=d_state, headdim=_whole(inner, heads, where), ngroups=groups, **common)


def phi_config(shapes: Shapes, data: Mapping[str, Any], where: Path) -> PhiConfig:
    """The sizes of a Phi-Mamba; its config is an outline of the program's classes."""
    core = _object(_object(data.get("Block1")).get("core_input"))
    words = _object(_object(data.get("LanguageModel")).get("input"))
    rows, d_model = _shape(shapes, "backbone.embedding.weight", 2, where)
    inner = _shape(shapes, f"{FIRST}out_proj.weight", 2, where)[1]
    channels, _, d_conv = _shape(shapes, f"{FIRST}conv1d.weight", 3, where)
    heads = _shape(shapes, f"{FIRST}D", 1, where)[0]
    qk_heads = int(_number(core, ("n_qk_heads",), heads))
    return PhiConfig(
        d_model=d_model,
        n_layer=len({name.split(".")[2] for name in shapes if name.startswith("backbone.layers.")}),
        d_state=_whole(channels - inner, 2 * qk_heads, where),
        heads=heads,
        qk_heads=qk_heads,
        d_conv=d_conv,
        expand=_whole(inner, d_model, where),
        **_vocabulary(rows, {"vocab_size": rows, **words}, where),
    )


def _vocabulary(rows: int, words: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """Real tokens, and the multiple that rounds them up to the embedding's rows.

    transformers' config counts the padding rows as tokens; the tokenizer beside the weights then knows better.
    """
    real = words.get("vocab_size")
    if type(real) is not int or not 0 < real <= rows:
        raise ModelError(f"{where} says vocab_size {shown(real)}, and its embedding has {rows} rows.")
    if real == rows:
        real = min(real, _tokenizer_size(where) or real)
    given = words.get("pad_vocab_size_multiple")
    multiples = (given, 16, 8, rows) if type(given) is int and given > 0 else (16, 8, rows)
    return {
        "vocab_size": real,
        "pad_vocab_size_multiple": next(m for m in multiples if math.ceil(real / m) * m == rows),
    }


def _tokenizer_size(where: Path) -> int | None:
    from samcli.checkpoints.vocabulary import vocabulary_size

    return vocabulary_size(where)


def _refuse_what_we_lack(words: Mapping[str, Any], where: Path) -> None:
    if words.get("attn_layer_idx") or words.get("d_intermediate"):
        raise ModelError(f"{where} mixes attention or MLP layers into Mamba, which sam does not have.")
    activation = words.get("hidden_act", words.get("activation", "silu"))
    if activation not in ("silu", "swish"):
        raise ModelError(f"{where} activates by {shown(activation)}, which sam does not do: it has silu.")
    if words.get("norm_before_gate"):
        raise ModelError(f"{where} norms before its gate, which sam does not do.")
    low, high = _pair(words.get("time_step_limit", words.get("dt_limit")))
    if low > 0 or math.isfinite(high):
        raise ModelError(f"{where} limits its time steps to {low} ... {high}, which sam does not do.")


def _pair(value: Any) -> tuple[float, float]:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(item, int | float) for item in value):
        return float(value[0]), float(value[1])
    return 0.0, math.inf


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(words: Mapping[str, Any], names: tuple[str, ...], default: float) -> float:
    found = next((words[name] for name in names if name in words), default)
    return found if isinstance(found, int | float) and found > 0 else default


def _shape(shapes: Shapes, name: str, rank: int, where: Path) -> tuple[int, ...]:
    shape = shapes.get(name, ())
    if len(shape) != rank or not all(shape):
        raise ModelError(f"The weights in {where} look like Mamba's, but {name} has the shape {tuple(shape)}.")
    return shape


def _whole(amount: int, parts: int, where: Path) -> int:
    if parts < 1 or amount < 1 or amount % parts:
        raise ModelError(f"The shapes of the weights in {where} fit no Mamba ({amount} in {parts} parts).")
    return amount // parts
