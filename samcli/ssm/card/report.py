"""Which code a card would run, and why a card that is there is not used, for people."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from samcli.ssm.fast import kernels
from samcli.ssm.fast.cuda import cuda_convolution, mamba_ssm_scan
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.state import map_state
from samcli.ssm.triton import choice

# What the driver leaves in a system that has a card; the last is Windows' own in its Linux.
SIGNS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
CHECKED = 300  # tokens of a prompt


def describe() -> dict[str, str]:
    """What runs on each CUDA device; or why none does, where there is one."""
    if not torch.cuda.is_available():
        reason = unused()
        return {"cuda": f"not used: {reason}"} if reason else {}
    found = {f"cuda:{index}": scans(f"cuda:{index}") for index in range(torch.cuda.device_count())}
    found["cuda convolution"] = "causal_conv1d" if cuda_convolution() else "PyTorch"
    found["cuda decoding"] = "PyTorch" if kernels.plain() else "captured steps, beams on the card"
    return found


def scans(device: str) -> str:
    """Whose kernels scan and step on a device."""
    if kernels.plain():
        return "PyTorch (forced)"
    if kernels.chosen() != "mamba-ssm":
        trouble = choice.trouble(device)
        if trouble is None:
            return "our Triton kernels"
        return f"{'mamba_ssm for bfloat16' if mamba_ssm_scan() else 'PyTorch'} ({trouble})"
    return "mamba_ssm for bfloat16" if mamba_ssm_scan() else "PyTorch (mamba_ssm is missing, broken or disagrees)"


def unused() -> str:
    """Why a card that the system shows is not used; empty where it shows none."""
    if not any(Path(sign).exists() for sign in SIGNS):
        return ""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"this PyTorch ({torch.__version__}) is built without CUDA; see pytorch.org for one that is"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and not hidden.strip("-1 ,"):
        return f"CUDA_VISIBLE_DEVICES is {hidden!r}, which hides it"
    return f"PyTorch is built for CUDA {torch.version.cuda}, which the driver may be too old for; nvidia-smi shows it"


@torch.no_grad()
def disagreement(config: LanguageConfig, device: str, dtype: torch.dtype) -> float:
    """By how much what runs here differs from plain PyTorch in float32: one layer of these sizes, relative.

    A prompt of ragged rows from nothing, and a token after it: the case that a run has.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one = {**vars(config), "n_layer": 1, "vocab_size": 64}
        model = LanguageModel(LanguageConfig(**one)).to(device, dtype).eval().requires_grad_(False)
        tokens = torch.randint(0, 64, (2, CHECKED)).to(device)
    lengths = torch.tensor([CHECKED, CHECKED // 3], device=device)
    chosen = kernels.chosen()
    model.prepare()
    _, state = model.prefill(tokens, lengths=lengths)
    logits, _ = model.step(tokens[:, 0], map_state(torch.clone, state))
    kernels.force("torch")
    try:
        exact = model.float()
        exact.prepare()
        _, state = exact.prefill(tokens, lengths=lengths)
        expected, _ = exact.plain_step(tokens[:, 0], state)
    finally:
        kernels.force(chosen)
    return float((logits.float() - expected).abs().max() / expected.abs().max())
