"""On CUDA: the same numbers as on a CPU, captured decoding, flat memory over a very long sequence."""

from __future__ import annotations

import os

import pytest
import torch

from samcli.ssm.fast import kernels
from samcli.ssm.fast.cuda import mamba_ssm_scan
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.generation import GenerationOptions, generate
from samcli.ssm.language.model import LanguageModel

DEVICE = os.environ.get("SAM_CHECK_DEVICE", "cuda")  # cpu: whether these tests run at all
THERE = DEVICE == "cpu" or torch.cuda.is_available()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not THERE, reason="no CUDA device"),
]
CONFIG = LanguageConfig(128, 4, 50, d_state=64, headdim=64)


def pair(dtype: torch.dtype) -> tuple[LanguageModel, LanguageModel]:
    torch.manual_seed(0)
    here = LanguageModel(CONFIG).to(dtype).eval().requires_grad_(False)
    there = LanguageModel(CONFIG).to(dtype).eval().requires_grad_(False)
    there.load_state_dict(here.state_dict())
    return here, there.to(DEVICE)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 0.06)])
def test_prefill_and_steps_agree_with_the_cpu(dtype: torch.dtype, tolerance: float) -> None:
    here, there = pair(dtype)
    tokens = torch.randint(0, 50, (3, 700))
    lengths = torch.tensor([700, 20, 311])
    expected, state = here.prefill(tokens, lengths=lengths)
    logits, state_there = there.prefill(tokens.to(DEVICE), lengths=lengths.to(DEVICE))
    assert (logits.cpu() - expected).abs().max() <= tolerance * expected.abs().max()
    there.prepare()
    for t in range(5):
        expected, state = here.plain_step(tokens[:, t], state)
        logits, state_there = there.step(tokens[:, t].to(DEVICE), state_there, owned=t > 0)
        assert (logits.cpu() - expected).abs().max() <= tolerance * expected.abs().max()
    assert all(block.ssm.dtype == torch.float32 for block in state_there)


def test_a_captured_graph_says_what_plain_steps_say() -> None:
    _, there = pair(torch.float32)
    tokens = torch.randint(0, 50, (4, 12)).to(DEVICE)
    for options in (
        GenerationOptions(max_new_tokens=20, stop_tokens=(3, 9)),
        GenerationOptions(max_new_tokens=20, beams=3, stop_tokens=(3,)),
        GenerationOptions(max_new_tokens=20, temperature=1.0, top_p=0.9),
    ):
        quick = generate(there, None, tokens, options)
        kernels.force("torch")
        try:
            assert generate(there, None, tokens, options) == quick
        finally:
            kernels.force("auto")


def test_states_handed_out_do_not_change() -> None:
    _, there = pair(torch.float32)
    _, state = there.prefill(torch.randint(0, 50, (2, 5)).to(DEVICE))
    there.prepare()
    first_logits, first = there.step(torch.tensor([1, 2]).to(DEVICE), state)
    kept = [leaf.clone() for block in first for leaf in block]
    said = first_logits.clone()
    there.step(torch.tensor([4, 5]).to(DEVICE), first)
    assert torch.equal(first_logits, said)
    assert all(torch.equal(a, b) for a, b in zip(kept, (leaf for block in first for leaf in block), strict=True))


@pytest.mark.skipif(DEVICE == "cpu", reason="a card counts its own memory")
def test_a_million_tokens_in_flat_memory() -> None:
    _, there = pair(torch.bfloat16)
    state, peaks = None, []
    piece = torch.randint(0, 50, (1, 2**15)).to(DEVICE)
    for _ in range(32):
        torch.cuda.reset_peak_memory_stats()
        _, state = there.prefill(piece, state=state)
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[-1] <= 1.01 * peaks[1]
    assert all(leaf.isfinite().all() for block in state for leaf in block)


@pytest.mark.skipif(not torch.cuda.is_available() or mamba_ssm_scan() is None, reason="mamba_ssm is not in use")
def test_mamba_ssm_and_plain_agree() -> None:
    _, there = pair(torch.bfloat16)
    tokens = torch.randint(0, 50, (2, 900)).to(DEVICE)
    try:
        kernels.force("mamba-ssm")
        quick, _ = there.prefill(tokens)
        kernels.force("torch")
        plain, _ = there.prefill(tokens)
    finally:
        kernels.force("auto")
    assert (quick - plain).abs().max() <= 0.06 * plain.abs().max()
