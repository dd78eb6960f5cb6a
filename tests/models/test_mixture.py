"""Mixture-of-Mamba: parity with the authors' block, and equality with the dense one while copies are equal."""

import threading
from typing import Any

import pytest
import torch

from samcli.errors import ModelError
from samcli.models.lora import AdapterConfig, adapter_parameters, add_adapter
from samcli.models.mixture import (
    AUDIO,
    LAYOUT,
    TEXT,
    split_projections,
    use_modality,
)
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.mamba import Mamba, MambaConfig
from samcli.ssm.norms import RMSNorm

TOLERANCE = 1e-5
CONFIG = MambaConfig(d_model=32)
VARIANTS = {
    "all_split": ("in_proj", "x_proj", "dt_proj", "out_proj"),
    "no_split": (),
    "split_in_out_only": ("in_proj", "out_proj"),
    "split_dt_only": ("dt_proj",),
}
TINY = LanguageConfig(d_model=32, n_layer=2, vocab_size=40, d_state=8, headdim=16)


def published(parity: Any, variant: str) -> tuple[Any, dict[str, torch.Tensor]]:
    weights, case = parity.load("mixture_of_mamba")
    own = {key.removeprefix(f"{variant}."): value for key, value in weights.items() if key.startswith(f"{variant}.")}
    if variant in ("all_split", "split_in_out_only"):
        assert LAYOUT.recognises(own)
    block, split = Mamba(CONFIG), VARIANTS[variant]
    if "dt_proj" not in split:  # the authors' code drops this bias
        block.dt_proj.register_parameter("bias", None)
    if split:
        split_projections(block, split)
    return parity.fill(block, parity.ours(own, LAYOUT)), case


def modality_of(masks: torch.Tensor) -> torch.Tensor:
    """The authors' boolean masks (modalities, 2 * length) as a number for each token; the lowest modality wins."""
    return masks.int().argmax(0).reshape(2, -1)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_parity(parity: Any, variant: str) -> None:
    block, case = published(parity, variant)
    with use_modality(modality_of(case["modality_masks"])):
        y, _ = block(case["input"])
    assert parity.worst(y, case[f"output.{variant}"]) < TOLERANCE


def test_lowest_modality_wins_where_masks_overlap(parity: Any) -> None:
    block, case = published(parity, "all_split")
    with use_modality(modality_of(case["modality_masks_overlapping"])):
        y, _ = block(case["input"])
    assert parity.worst(y, case["output.all_split_overlapping"]) < TOLERANCE


def test_wrapper(parity: Any) -> None:
    block, case = published(parity, "all_split")
    norm = RMSNorm(32)
    norm.weight.data = parity.load("mixture_of_mamba")[0]["wrapper.norm.weight"]
    with use_modality(modality_of(case["modality_masks"])):
        y, _ = block(norm(case["input"]))
    assert parity.worst(case["input"] + y, case["wrapper_output"]) < TOLERANCE


@pytest.mark.parametrize("layer", ["mamba2", "mamba"])
def test_equal_copies_are_the_dense_model_bit_for_bit(layer: str) -> None:
    config = LanguageConfig(d_model=32, n_layer=2, vocab_size=40, d_state=8, headdim=16, layer=layer)
    dense = LanguageModel(config).eval()
    split = LanguageModel(config).eval()
    split.load_state_dict(dense.state_dict())
    split_projections(split)
    tokens = torch.randint(0, 40, (3, 17))
    wanted, wanted_state = dense(tokens)
    for modality in (TEXT, AUDIO, torch.randint(0, 2, (3, 17))):
        with use_modality(modality):
            logits, state = split(tokens)
        assert torch.equal(logits, wanted)
        with use_modality(modality), torch.no_grad():
            quick, wanted_quick = split(tokens)[0], dense(tokens)[0]
        assert torch.equal(quick, wanted_quick)  # without gradients another library multiplies
        assert all(
            torch.equal(a, b) for x, y in zip(state, wanted_state, strict=True) for a, b in zip(x, y, strict=True)
        )


def different() -> LanguageModel:
    """A split model whose copies differ."""
    model = split_projections(LanguageModel(TINY).eval())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "experts.1" in name:
                parameter.normal_(std=0.3)
    return model  # type: ignore[return-value]


def test_one_call_equals_modality_by_modality() -> None:
    """Audio first, then text with the carried state: the same as one mixed sequence."""
    model, tokens = different(), torch.randint(0, 40, (2, 14))
    modality = torch.full((2, 14), TEXT)
    modality[:, :9] = AUDIO
    with use_modality(modality):
        whole, _ = model(tokens)
    with use_modality(AUDIO):
        first, state = model(tokens[:, :9])
    second, _ = model(tokens[:, 9:], state=state)  # text needs no saying
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=0, atol=1e-5)
    assert (model(tokens)[0] - whole).abs().max() > 1e-3


def test_each_copy_learns_from_its_own_tokens_only() -> None:
    model, tokens = different(), torch.randint(0, 40, (1, 6))
    with use_modality(AUDIO):
        model(tokens)[0].square().sum().backward()
    learned = {
        name.split("experts.")[1][0] for name, p in model.named_parameters() if "experts" in name and p.grad is not None
    }
    assert learned == {"1"}


def test_threads_do_not_see_each_other() -> None:
    model, tokens = different(), torch.randint(0, 40, (1, 6))
    text = model(tokens)[0]
    found: list[torch.Tensor] = []
    with use_modality(AUDIO):
        other = threading.Thread(target=lambda: found.append(model(tokens)[0]))
        other.start()
        other.join()
        audio = model(tokens)[0]
    # not to the bit: a thread may compute on another number of cores
    assert torch.allclose(found[0], text, atol=1e-6) and not torch.allclose(audio, text, atol=1e-3)


def test_adapters_reach_every_expert() -> None:
    model = different()
    add_adapter(model, AdapterConfig(rank=2))
    # 2 layers x 2 projections x 2 modalities x (down, up)
    assert len(adapter_parameters(model)) == 16


def test_misuse_is_refused() -> None:
    model = different()
    with use_modality(torch.zeros(2, 3)), pytest.raises(ValueError, match="tokens"):
        model(torch.zeros(1, 6, dtype=torch.long))
    with pytest.raises(ModelError, match="no projections"):
        split_projections(torch.nn.Linear(2, 2))
    with pytest.raises(ModelError, match="single weight"):
        _ = model.backbone.layers[0].mixer.in_proj.weight
