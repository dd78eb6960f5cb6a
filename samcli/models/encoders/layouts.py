"""From the authors' tensor names to ours: pure functions on names and shapes, no tensor is touched.

Every `rename_*` takes the names found in a file and returns {name in the file: our name}. A name the model has no use
for maps to "" (drop it); a name nobody knows maps to itself, so that strict loading reports it as unexpected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Rules = tuple[tuple[str, str], ...]  # (pattern, replacement), applied one after the other


def _rename(keys: Iterable[str], rules: Rules, dropped: str = r"(?!)") -> dict[str, str]:
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    renamed: dict[str, str] = {}
    for key in keys:
        name = key
        for pattern, replacement in compiled:
            name = pattern.sub(replacement, name)
        renamed[key] = "" if re.search(dropped, key) else name
    return renamed


# The released `.pth` (DataParallel's "module." in front, or not) and the Hub's safetensors, in one table: no rule
# of one matches a name of the other.
DASS_RULES: Rules = (
    (r"^(module\.)?v\.", ""),
    (r"^dass\.", ""),
    (r"^classifier\.(norm|head)\.", r"\1."),
    (r"^patch_embed\.0\.|^patch_embeddings\.projection\.0\.", "stem.0.conv."),
    (r"^patch_embed\.2\.|^patch_embeddings\.projection\.1\.", "stem.0.norm."),
    (r"^patch_embed\.5\.|^patch_embeddings\.projection\.3\.", "stem.2.conv."),
    (r"^patch_embed\.7\.|^patch_embeddings\.projection\.4\.", "stem.2.norm."),
    (r"^layers\.", "stages."),
    (r"\.downsample\.(1|down)\.", ".downsample.conv."),
    (r"\.downsample\.3\.", ".downsample.norm."),
    (r"\.op\.x_proj[._]weight$", ".op.x_proj"),
    (r"\.op\.dt_projs[._]weight$", ".op.dt_proj"),
    (r"\.op\.dt_projs_bias$", ".op.dt_bias"),
    (r"\.op\.A_logs$", ".op.A_log"),
    (r"\.op\.Ds$", ".op.D"),
)

# Hub layout ("model." in front of everything) and the two fairseq layouts.
EAT_RULES: Rules = (
    (r"^(model\.)+", ""),
    (r"^modality_encoders\.IMAGE\.context_encoder\.norm\.", "pre_norm."),
    (r"^modality_encoders\.IMAGE\.", ""),
    (r"^local_encoder\.proj\.", "patches."),
    (r"^extra_tokens$", "class_token"),
    (r"^fixed_positional_encoder\.positions$", "positions"),
)
# What fairseq stores beside the encoder: the teacher, the pre-training decoder and its targets.
EAT_DROPPED = r"(^|\.)(_ema|decoder|recon_proj|cls_proj|relative_positional_encoder|alibi_scale)(\.|$)"

SSAMBA_RULES: Rules = (
    (r"^module\.", ""),
    (r"^v\.patch_embed\.proj\.", "patches."),
    (r"^v\.cls_token$", "class_token"),
    (r"^v\.pos_embed$", "positions"),
    (r"^v\.norm_f\.", "norm_f."),
    (r"^v\.layers\.", "layers."),
    (r"\.A_b_log$", ".A_log_b"),
    (r"^mlp_head\.0\.", "head_norm."),
    (r"^mlp_head\.1\.", "head."),
    (r"^mask_embed$", "mask_token"),
    (r"^(c|g)predlayer\.", r"\1pred."),
)
# An unused ImageNet head of 1000 classes, and the grid size, which the shape of the position table tells as well.
SSAMBA_DROPPED = r"(^|\.)(v\.head\.(weight|bias)|p_input_[ft]dim)$"

# The released checkpoint is a dict of parts; their names and the tensors' are joined with a dot.
MLMAMBA_RULES: Rules = (
    (r"^mlp\.0\.", "enter."),
    (r"^bidirectional_mamba\.norm_f\.", "norm."),
    (r"^bidirectional_mamba\.", ""),
    (r"^projector\.projector\.", "projector."),
)

MIXTURE_RULES: Rules = ((r"(^|\.)local_experts_(in_proj|x_proj|dt_proj|out_proj)\.", r"\1\2.experts."),)


def rename_dass(keys: Iterable[str]) -> dict[str, str]:
    return _rename(keys, DASS_RULES)


def rename_eat(keys: Iterable[str]) -> dict[str, str]:
    return _rename(keys, EAT_RULES, EAT_DROPPED)


def rename_ssamba(keys: Iterable[str]) -> dict[str, str]:
    return _rename(keys, SSAMBA_RULES, SSAMBA_DROPPED)


def rename_mlmamba_connector(keys: Iterable[str]) -> dict[str, str]:
    return _rename(keys, MLMAMBA_RULES, r"^llm_backbone\.")


def rename_mixture(keys: Iterable[str]) -> dict[str, str]:
    """A bias of an unsplit dt_proj is stored but never used by the authors' code: dropped."""
    return _rename(keys, MIXTURE_RULES, r"(^|\.)dt_proj\.bias$")


LAYOUTS: dict[str, Callable[[Iterable[str]], dict[str, str]]] = {
    "dass": rename_dass,
    "eat": rename_eat,
    "ssamba": rename_ssamba,
    "mlmamba-connector": rename_mlmamba_connector,
    "mixture": rename_mixture,
}


def recognise(keys: Iterable[str]) -> str | None:
    """Which published layout these names belong to, or None."""
    names = list(keys)
    signs = {
        "dass": r"\.op\.A_logs$",
        "eat": r"(^|\.)blocks\.0\.attn\.qkv\.weight$",
        "mlmamba-connector": r"^bidirectional_mamba\.",
        "mixture": r"(^|\.)local_experts_in_proj\.0\.",
        "ssamba": r"^(module\.)?v\.layers\.0\.mixer\.conv1d_b\.weight$",
    }
    return next((kind for kind, sign in signs.items() if any(re.search(sign, name) for name in names)), None)


def same_numbers(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a reshape keeps every number in place: equal once axes of size 1 are dropped and leading axes merged.

    1x1 convolutions are stored as matrices or with two trailing ones, the four scans of DASS stacked or end to end.
    """
    found, wanted = (tuple(size for size in shape if size != 1) for shape in (found, wanted))
    shorter, longer = sorted((found, wanted), key=len)
    if not shorter or shorter == longer:
        return shorter == longer
    extra = len(longer) - len(shorter)
    merged = 1
    for size in longer[: extra + 1]:
        merged *= size
    return (merged, *longer[extra + 1 :]) == shorter
