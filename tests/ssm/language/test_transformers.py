"""Parity with transformers' PyTorch path on random models: logits, cached decoding, greedy text."""

from __future__ import annotations

import pytest
import torch

from samcli.ssm.language.generation import GenerationOptions, generate
from samcli.ssm.language.model import LanguageConfig, LanguageModel

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
    if kind == "mamba2":
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
            layer=kind,
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
@pytest.mark.parametrize("kind", ["mamba2", "mamba"])
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
