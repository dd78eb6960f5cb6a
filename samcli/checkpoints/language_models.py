"""Published language models - Mamba, Mamba-2, Mamba-3, Falcon-Mamba, Phi-Mamba: which layout, which sizes, which names.

Mamba comes in two layouts, state-spaces' own and the one of the transformers library; they differ in the name of the
embedding and in the words of config.json. Sizes are read from the tensors; the config says only what no shape can, and
what it asks for that sam does not compute is refused by a sentence. What only says how weights began or are rounded
(time_step_min, initializer_cfg, rescale_prenorm_residual, residual_in_fp32, chunk_size) changes nothing here.
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
from samcli.ssm.mamba3 import LEAST_DECAY

Shapes = Mapping[str, tuple[int, ...]]
FIRST = "backbone.layers.0.mixer."
FALCON = "falcon_mamba"
# Models of Mamba layers among others, by their model_type.
HYBRIDS = {
    "bamba": "Bamba", "falcon_h1": "Falcon-H1", "granitemoehybrid": "Granite 4", "hymba": "Hymba", "jamba": "Jamba",
    "nemotron_h": "Nemotron-H", "plamo2": "PLaMo 2", "zamba": "Zamba", "zamba2": "Zamba2",
}  # fmt: skip


def published_language(data: Mapping[str, Any], names: Mapping[str, Any]) -> str | None:
    """Which kind of language model these published tensors are, if any (our own have a model_type of ours)."""
    kind = data.get("model_type")
    if isinstance(kind, str) and kind in HYBRIDS:
        raise ModelError(
            f"{HYBRIDS[kind]} mixes attention layers into its Mamba layers, which sam does not have: "
            "their memory grows with every token. mamba2-2.7b has none."
        )
    if kind not in (None, "mamba", "mamba2", FALCON) or f"{FIRST}in_proj.weight" not in names:
        return None
    return "phi" if f"{FIRST}z_bias" in names else "language" if f"{FIRST}D" in names else None


def rename_language(names: Mapping[str, Any]) -> dict[str, str]:
    return {name: name.replace("backbone.embeddings.", "backbone.embedding.") for name in names}


def language_config(shapes: Shapes, data: Mapping[str, Any], where: Path) -> LanguageConfig:
    """The sizes of a Mamba or Mamba-2 model from its tensors (under our names) and its config."""
    words = {**data, **_object(data.get("ssm_cfg"))}
    _refuse_what_we_lack(words, shapes, where)
    rows, d_model = _shape(shapes, "backbone.embedding.weight", 2, where)
    inner = _shape(shapes, f"{FIRST}out_proj.weight", 2, where)[1]
    layers = {name.split(".")[2] for name in shapes if name.startswith("backbone.layers.")}
    tied = bool(words.get("tie_embeddings", words.get("tie_word_embeddings", True)))
    common: dict[str, Any] = {
        "d_model": d_model,
        "n_layer": len(layers),
        "expand": _whole(inner, d_model, where),
        "tie_embeddings": tied or "lm_head.weight" not in shapes,
        "norm_eps": _number(words, ("norm_epsilon", "layer_norm_epsilon"), 1e-5),
        **_vocabulary(rows, words, where),
    }
    if f"{FIRST}B_bias" in shapes:
        return LanguageConfig(**common, **_mamba3(shapes, words, inner, where))
    channels, _, d_conv = _shape(shapes, f"{FIRST}conv1d.weight", 3, where)
    common |= {"d_conv": d_conv, "bias": f"{FIRST}in_proj.bias" in shapes, "conv_bias": f"{FIRST}conv1d.bias" in shapes}
    if f"{FIRST}x_proj.weight" in shapes:
        d_state = _shape(shapes, f"{FIRST}A_log", 2, where)[1]
        dt_rank = _shape(shapes, f"{FIRST}dt_proj.weight", 2, where)[1]
        eps = _number(words, ("mixer_rms_eps",), 1e-6) if data.get("model_type") == FALCON else None
        return LanguageConfig(layer="mamba", d_state=d_state, dt_rank=dt_rank, inner_norm_eps=eps, **common)
    return LanguageConfig(**common, **_mamba2(shapes, words, inner, channels, where))


def _mamba2(shapes: Shapes, words: Mapping[str, Any], inner: int, channels: int, where: Path) -> dict[str, Any]:
    heads = _shape(shapes, f"{FIRST}A_log", 1, where)[0]
    if _shape(shapes, f"{FIRST}D", 1, where)[0] != heads:
        raise ModelError(f"{where} has a D for every channel of a head, which sam does not have.")
    if f"{FIRST}norm.weight" not in shapes:
        raise ModelError(f"{where} has no norm behind its scan (rmsnorm), which sam does not do without.")
    # transformers and the authors differ in what they leave unsaid
    groups = int(_number(words, ("ngroups", "n_groups"), 8 if words.get("model_type") == "mamba2" else 1))
    d_state = _whole(channels - inner, 2 * groups, where)
    said = _number(words, ("d_state", "state_size"), d_state)
    if said != d_state:
        raise ModelError(f"{where} says a state of {said:g} in {groups} groups, and its weights have one of {d_state}.")
    found, wanted = _shape(shapes, f"{FIRST}in_proj.weight", 2, where)[0], inner + channels + heads
    if found != wanted:
        raise ModelError(f"{where} projects to {found} numbers where Mamba-2 has {wanted} (d_ssm?): sam has no other.")
    return {"d_state": d_state, "headdim": _whole(inner, heads, where), "ngroups": groups}


def _mamba3(shapes: Shapes, words: Mapping[str, Any], inner: int, where: Path) -> dict[str, Any]:
    heads, rank, d_state = _shape(shapes, f"{FIRST}B_bias", 3, where)
    if rank > 1 or f"{FIRST}mimo_x" in shapes:
        raise ModelError(f"{where} is a Mamba-3 of several inputs and outputs a head, and sam has the one of one.")
    if f"{FIRST}norm.weight" in shapes:
        raise ModelError(f"{where} is a Mamba-3 with a norm behind its scan (is_outproj_norm), and sam has none there.")
    if _number(words, ("A_floor",), LEAST_DECAY) != LEAST_DECAY:
        raise ModelError(f"{where} says A_floor {words['A_floor']}, and sam forgets by {LEAST_DECAY} at least.")
    groups = int(_number(words, ("ngroups",), 1))
    rows = _shape(shapes, f"{FIRST}in_proj.weight", 2, where)[0]
    angles = rows - 2 * inner - 2 * groups * d_state - 3 * heads
    headdim = _whole(inner, heads, where)
    shares = {int(share * d_state) // 2: share for share in (1.0, 0.5)}
    if angles not in shares:
        raise ModelError(f"The shapes of the weights in {where} fit no Mamba-3 ({angles} angles for {d_state} states).")
    return {"layer": "mamba3", "d_state": d_state, "headdim": headdim, "ngroups": groups, "turned": shares[angles]}


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
    from samcli.checkpoints.files import vocabulary_size

    return vocabulary_size(where)


def _refuse_what_we_lack(words: Mapping[str, Any], shapes: Shapes, where: Path) -> None:
    if words.get("attn_layer_idx") or words.get("d_intermediate"):
        raise ModelError(f"{where} mixes attention or MLP layers into Mamba, which sam does not have.")
    if "backbone.layers.0.norm.bias" in shapes:
        raise ModelError(f"{where} norms by LayerNorm between its layers, which sam does not do: it has RMSNorm.")
    if f"{FIRST}init_states" in shapes:
        raise ModelError(f"{where} begins with states that were learned, which sam does not do.")
    activation = words.get("hidden_act", words.get("activation", "silu"))
    if activation not in ("silu", "swish"):
        raise ModelError(f"{where} activates by {shown(activation)}, which sam does not do: it has silu.")
    if words.get("norm_before_gate"):
        raise ModelError(f"{where} norms before its gate, which sam does not do.")
    for name in ("time_step_limit", "dt_limit"):
        if not _unlimited(words.get(name)):
            raise ModelError(f"{where} limits its time steps ({name} {shown(words[name])}), which sam does not do.")


def _unlimited(limits: Any) -> bool:
    """Whether these are none, or from zero to infinity, of which JSON has several spellings."""
    if limits is None:
        return True
    if not isinstance(limits, list) or len(limits) != 2:
        return False
    low, high = (item.get("__float__") if isinstance(item, dict) else item for item in limits)
    return low in (0, "0.0") and high in (math.inf, "inf", "Infinity")


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
