"""A teacher from a folder of config.json and safetensors: Llama, Phi or GPT-NeoX, by their names and ours.

What their configs can say and our attention cannot do is refused, in a sentence; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from samcli.checkpoints.configs import blueprint
from samcli.checkpoints.files import read_spots
from samcli.checkpoints.safety import check_sizes, member, read_json, shown
from samcli.checkpoints.tensors import MappedWeights, fill
from samcli.errors import ModelError
from samcli.ssm.language.phi import PhiConfig
from samcli.training.mohawk.networks import Teacher, TeacherConfig

ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh", "gelu_fast": "gelu-tanh"}
# Of older files: constants, not weights.
CONSTANTS = (".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq")

PARTS_WITH_BIAS = {".mixer.": "attention_bias", ".mlp.": "mlp_bias"}


class Words:
    """A stranger's config.json, asked for one value at a time."""

    def __init__(self, data: Mapping[str, Any], where: Path) -> None:
        self.data, self.where = data, where
        rope = data.get("rope_parameters") or data.get("rope_scaling")
        self.rope: Mapping[str, Any] = rope if isinstance(rope, dict) else {}

    def size(self, name: str, default: int | None = None) -> int:
        value = self.data.get(name)
        value = default if value is None else value
        if type(value) is not int or value < 1:
            raise ModelError(f"{self.where} sets {name} to {shown(value)}, where a whole number above 0 is expected.")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.rope.get(name, self.data.get(name, default))
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ModelError(f"{self.where} sets {name} to {shown(value)}, where a number above 0 is expected.")
        return float(value)

    def choice(self, name: str, default: str, known: Mapping[str, str]) -> str:
        value = self.data.get(name, default)
        if value not in known:
            raise ModelError(f"{self.where} sets {name} to {shown(value)}, which sam does not do: {', '.join(known)}.")
        return known[value]

    def refuse(self) -> None:
        """What none of the three has here."""
        kind = self.rope.get("rope_type", self.rope.get("type", "default"))
        if kind != "default":
            raise ModelError(f"{self.where} stretches its positions by {shown(kind)}, which sam does not do.")
        for name, what in (("qk_layernorm", "norms its queries and keys"), ("sliding_window", "attends in windows")):
            if self.data.get(name):
                raise ModelError(f"{self.where} {what} ({name}), which sam does not do.")


class Family(NamedTuple):
    config: Callable[[Words, Mapping[str, Tensor]], TeacherConfig]
    names: tuple[tuple[str, str], ...]  # theirs, ours


def llama(words: Words, tensors: Mapping[str, Tensor]) -> TeacherConfig:
    attention, mlp = bool(words.data.get("attention_bias")), bool(words.data.get("mlp_bias"))
    words.choice("hidden_act", "silu", {"silu": "silu"})
    frame = _frame(
        words, tensors, "lm_head",
        block="llama", norm="rms", mlp="gated-silu", bias=attention or mlp,
        norm_eps=words.number("rms_norm_eps", 1e-6),
    )  # fmt: skip
    return _attention(words, frame, 1.0, 10_000.0, bias=attention, out_bias=frame.bias)


def phi(words: Words, tensors: Mapping[str, Tensor]) -> TeacherConfig:
    frame = _frame(
        words, tensors, "lm_head",
        block="phi", mlp=words.choice("hidden_act", "gelu_new", ACTIVATIONS),
        norm_eps=words.number("layer_norm_eps", 1e-5),
    )  # fmt: skip
    return _attention(words, frame, words.number("partial_rotary_factor", 0.5), 10_000.0)


def neox(words: Words, tensors: Mapping[str, Tensor]) -> TeacherConfig:
    frame = _frame(
        words, tensors, "embed_out",
        block="neox" if words.data.get("use_parallel_residual", True) else "llama",
        mlp=words.choice("hidden_act", "gelu", ACTIVATIONS), norm_eps=words.number("layer_norm_eps", 1e-5),
    )  # fmt: skip
    share = words.number("partial_rotary_factor", words.number("rotary_pct", 0.25))
    base, bias = words.number("rotary_emb_base", 10_000.0), bool(words.data.get("attention_bias", True))
    return _attention(words, frame, share, base, bias=bias, out_bias=bias or frame.block == "llama")


def _frame(words: Words, tensors: Mapping[str, Tensor], head: str, **own: Any) -> PhiConfig:
    width, heads = words.size("hidden_size"), words.size("num_attention_heads")
    head_dim = words.size("head_dim", max(1, width // heads))
    if heads * head_dim % width:
        raise ModelError(
            f"{words.where} has {heads} heads of {head_dim} channels beside a width of {width}: "
            "the student's mixer is as wide as the model or a multiple of it."
        )
    return PhiConfig(
        d_model=width,
        n_layer=words.size("num_hidden_layers"),
        vocab_size=words.size("vocab_size"),
        d_state=head_dim,
        heads=heads,
        qk_heads=heads,
        expand=heads * head_dim // width,
        pad_vocab_size_multiple=1,
        mlp_width=words.size("intermediate_size"),
        head_bias=f"{head}.bias" in tensors,
        tie_embeddings=bool(words.data.get("tie_word_embeddings")) or f"{head}.weight" not in tensors,
        **own,
    )


def _attention(
    words: Words, frame: PhiConfig, share: float, theta: float, bias: bool = True, out_bias: bool = True
) -> TeacherConfig:
    kv_heads, head_dim = words.size("num_key_value_heads", frame.heads), frame.d_state
    share = words.number("partial_rotary_factor", share)
    theta = words.number("rope_theta", theta)
    return TeacherConfig(frame, kv_heads, head_dim, int(head_dim * share), theta, bias, out_bias)


COMMON = (
    ("model.embed_tokens.", "backbone.embedding."),
    ("model.layers.", "backbone.layers."),
    (".self_attn.q_proj.", ".mixer.q."),
    (".self_attn.k_proj.", ".mixer.k."),
    (".self_attn.v_proj.", ".mixer.v."),
)
FAMILIES = {
    "llama": Family(llama, (
        *COMMON,
        (".self_attn.o_proj.", ".mixer.out_proj."),
        (".post_attention_layernorm.", ".mlp_layernorm."),
        (".gate_proj.", ".gate."),
        (".up_proj.", ".fc1."),
        (".down_proj.", ".fc2."),
        ("model.norm.", "backbone.final_layernorm."),
    )),
    "phi": Family(phi, (
        *COMMON,
        (".self_attn.dense.", ".mixer.out_proj."),
        ("model.final_layernorm.", "backbone.final_layernorm."),
    )),
    "gpt_neox": Family(neox, (
        ("gpt_neox.embed_in.", "backbone.embedding."),
        ("gpt_neox.layers.", "backbone.layers."),
        (".attention.query_key_value.", ".mixer.qkv."),
        (".attention.dense.", ".mixer.out_proj."),
        (".post_attention_layernorm.", ".mlp_layernorm."),
        (".dense_h_to_4h.", ".fc1."),
        (".dense_4h_to_h.", ".fc2."),
        ("gpt_neox.final_layer_norm.", "backbone.final_layernorm."),
        ("embed_out.", "lm_head."),
    )),
}  # fmt: skip


def read_teacher(folder: Path, device: torch.device | str = "cpu") -> Teacher:
    """The transformer in `folder`, in float32 and in evaluation mode; it learns nothing."""
    headers = read_spots(folder)
    path = member(folder, "config.json")
    if not headers or not path.is_file():
        raise ModelError(f"{folder} holds no transformer: a config.json and *.safetensors.")
    data = read_json(path)
    family = FAMILIES.get(str(data.get("model_type")))
    if family is None:
        raise ModelError(
            f"{folder} has the model_type {shown(data.get('model_type'))}, which cannot teach here: "
            f"{', '.join(FAMILIES)} can."
        )
    check_sizes(data, (spot for spots in headers.values() for spot in spots.values()), path)
    source, words = MappedWeights(headers), Words(data, path)
    words.refuse()
    try:
        config = family.config(words, source.tensors)
        module = blueprint(Teacher, config)
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise ModelError(f"{path} does not describe a transformer: {error}.") from None
    ours = _renamed(source.tensors, family.names, config)
    absent = [part for part, key in PARTS_WITH_BIAS.items() if not data.get(key, family is not FAMILIES["llama"])]
    for name, slot in module.state_dict().items():
        if name.endswith(".bias") and name not in ours and any(part in name for part in absent):
            ours[name] = torch.zeros(slot.shape)  # the student has it, and learns it
    fill(module, ours, dtype=torch.float32, device=device, where=folder, source=source)
    assert isinstance(module, Teacher)
    return module.requires_grad_(False)


def _renamed(
    tensors: Mapping[str, Tensor], names: tuple[tuple[str, str], ...], config: TeacherConfig
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(CONSTANTS):
            continue
        for theirs, ours in names:
            name = name.replace(theirs, ours)
        if ".mixer.qkv." not in name:
            found[name] = tensor
            continue
        heads = (config.frame.heads, 3, config.head_dim)  # each head's three parts lie together
        if len(tensor) != heads[0] * heads[1] * heads[2]:
            raise ModelError(f"{shown(name)} has the shape {tuple(tensor.shape)}, which is not {heads[0]} heads.")
        for number, part in enumerate("qkv"):
            found[name.replace("qkv", part)] = tensor.reshape(*heads, *tensor.shape[1:])[:, number].flatten(0, 1)
    return found
