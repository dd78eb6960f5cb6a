"""Parity with transformers' PyTorch path on random models: logits, cached decoding, greedy text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from samcli.checkpoints.modules import load_folder
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.generation import GenerationOptions, generate
from samcli.ssm.language.model import LanguageModel

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

SIZES = [
    {"width": 32, "layers": 2, "state": 16, "headdim": 16, "groups": 1},
    {"width": 48, "layers": 3, "state": 8, "headdim": 12, "groups": 2},
]


def pair(kind: str, sizes: dict[str, int]) -> tuple[LanguageModel, torch.nn.Module]:
    """Our model and theirs with the same random weights."""
    torch.manual_seed(5)
    common = {"hidden_size": sizes["width"], "num_hidden_layers": sizes["layers"], "state_size": sizes["state"]}
    common |= {
        "vocab_size": 64,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": None,
    }
    if kind == "falcon":
        theirs = transformers.FalconMambaForCausalLM(transformers.FalconMambaConfig(**common, use_bias=True))
    elif kind == "mamba2":
        heads = 2 * sizes["width"] // sizes["headdim"]
        config = transformers.Mamba2Config(
            **common, head_dim=sizes["headdim"], num_heads=heads, n_groups=sizes["groups"], chunk_size=8
        )
        theirs = transformers.Mamba2ForCausalLM(config)
    else:
        theirs = transformers.MambaForCausalLM(transformers.MambaConfig(**common))
    ours = LanguageModel(
        LanguageConfig(
            sizes["width"],
            sizes["layers"],
            64,
            d_state=sizes["state"],
            headdim=sizes["headdim"],
            ngroups=sizes["groups"] if kind == "mamba2" else 1,
            layer="mamba" if kind == "falcon" else kind,
            bias=kind == "falcon",
            inner_norm_eps=1e-6 if kind == "falcon" else None,
        )
    )
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # so that no weight is at a special value
    weights = {k.replace("backbone.embeddings.", "backbone.embedding."): v for k, v in theirs.state_dict().items()}
    weights["lm_head.weight"] = weights["backbone.embedding.weight"]
    ours.load_state_dict(weights)
    return ours.eval().requires_grad_(False), theirs.eval().requires_grad_(False)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", ["mamba2", "mamba", "falcon"])
def test_logits_cached_decoding_and_greedy_text(kind: str, sizes: dict[str, int]) -> None:
    ours, theirs = pair(kind, sizes)
    tokens = torch.randint(1, 64, (2, 21), generator=torch.Generator().manual_seed(2))
    logits, _ = ours(tokens)
    torch.testing.assert_close(logits, theirs(tokens).logits, rtol=1e-4, atol=1e-4)

    out = theirs(tokens[:, :15], use_cache=True)
    last, state = ours.prefill(tokens[:, :15])
    torch.testing.assert_close(last, out.logits[:, -1], rtol=1e-4, atol=1e-4)
    for t in range(15, 21):
        out = theirs(tokens[:, t : t + 1], cache_params=out.cache_params, use_cache=True)
        last, state = ours.step(tokens[:, t], state)
        torch.testing.assert_close(last, out.logits[:, -1], rtol=1e-4, atol=1e-4)

    text = theirs.generate(tokens, max_new_tokens=20, do_sample=False)[:, tokens.shape[1] :]
    assert generate(ours, None, tokens, GenerationOptions(max_new_tokens=20)) == text.tolist()


@pytest.mark.parametrize("change", [{}, {"use_bias": True}, {"use_conv_bias": False}, {"tie_word_embeddings": False}])
@pytest.mark.parametrize("kind", ["Mamba2", "FalconMamba"])
def test_a_folder_that_transformers_saved_gives_its_numbers(kind: str, change: dict[str, Any], tmp_path: Path) -> None:
    """By the door of `--model FOLDER`: names, sizes and choices are found in the folder."""
    torch.manual_seed(6)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "vocab_size": 64}
    if kind == "Mamba2":
        sizes |= {"num_heads": 4, "head_dim": 16, "n_groups": 2}
    config = getattr(transformers, f"{kind}Config")(**sizes, rescale_prenorm_residual=True, **change)
    theirs = getattr(transformers, f"{kind}ForCausalLM")(config).eval().requires_grad_(False)
    for parameter in theirs.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    ours = load_folder(tmp_path).module
    tokens = torch.randint(1, 64, (2, 9))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens)[0], theirs(tokens).logits, rtol=1e-4, atol=1e-4)
        state = ours.prefill(tokens[:, :8])[1]  # type: ignore[operator]
        ours.prepare()  # type: ignore[operator]
        last, _ = ours.step(tokens[:, 8], state)  # type: ignore[operator]
    torch.testing.assert_close(last, theirs(tokens).logits[:, -1], rtol=1e-4, atol=1e-4)
