"""Which code does the arithmetic on this machine, and how exact it is, for people."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from samcli.ssm.fast import kernels
from samcli.ssm.fast.compiled import compiler
from samcli.ssm.fast.compiled import decoding as compiled_decoding
from samcli.ssm.fast.compiled import norms as compiled_norms
from samcli.ssm.fast.compiled import reading as compiled_reading
from samcli.ssm.fast.cuda import cuda_convolution, mamba_ssm_scan
from samcli.ssm.fast.kernels import plain
from samcli.ssm.fast.linear import onednn_products
from samcli.ssm.language.blocks import LanguageConfig
from samcli.ssm.language.model import LanguageModel
from samcli.ssm.mamba2 import Mamba2, Mamba2Config
from samcli.ssm.scan import selective_scan
from samcli.ssm.ssd import ssd, ssd_step
from samcli.ssm.state import map_state
from samcli.ssm.triton import choice

# What the driver leaves in a system that has a card; the last is Windows' own in its Linux.
SIGNS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
CHECKED = 300  # tokens of a prompt
LENGTH = 200  # steps: more than one chunk of the scan


def describe() -> dict[str, str]:
    """What is in use, for people, on every kind of device present."""
    found = {
        "choice": "plain PyTorch, forced" if plain() else "automatic",
        "cpu products": "oneDNN, packed for decoding" if not plain() and onednn_products() else "PyTorch",
        "cpu loops": loops(),
    }
    found |= cards()
    return found


def loops() -> str:
    """Which loops are compiled; asking compiles those that never were."""
    if plain() or not compiler.installed():
        return "PyTorch (forced)" if plain() else "PyTorch (numba is not installed)"
    agree = {
        "decoding": all(map(compiled_decoding.agrees, compiler.KINDS)),
        "reading": all(compiled_reading.agrees(Mamba2, Mamba2Config, weights) for weights in compiler.KINDS),
        "norms": compiled_norms.agrees(),
    }
    wrong = [name for name, right in agree.items() if not right]
    return f"numba, but PyTorch for {', '.join(wrong)}" if wrong else "numba"


def cards() -> dict[str, str]:
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


def scan_differences(device: str) -> dict[str, float]:
    """Of each scan, the largest difference on that device, relative to the largest value."""
    return {"state-space duality": _duality(device), "selective scan": _selective(device)}


def _duality(device: str) -> float:
    x, B, C, dt = _random((1, LENGTH, 2, 8), (1, LENGTH, 1, 16), (1, LENGTH, 1, 16), (1, LENGTH, 2))
    log_decay, scale = -dt.abs(), dt.abs()
    parts = [_there(value, device) for value in (x, log_decay, B, C)]
    y, _ = ssd(parts[0], parts[1], parts[2], parts[3], _there(scale, device))
    state, steps = x.new_zeros(1, 2, 8, 16), []
    for step in range(LENGTH):
        one, state = ssd_step(x[:, step], log_decay[:, step], B[:, step], C[:, step], scale[:, step], None, state)
        steps.append(one)
    return _difference(y, torch.stack(steps, dim=1))


def _selective(device: str) -> float:
    u, B, C, dt, A = _random((1, LENGTH, 8), (1, LENGTH, 16), (1, LENGTH, 16), (1, LENGTH, 8), (8, 16))
    dt, A = dt.abs(), -A.abs()
    y, _ = selective_scan(*(_there(value, device) for value in (u, dt, A, B, C)))
    h, steps = u.new_zeros(1, 8, 16), []
    for step in range(LENGTH):
        h = torch.exp(dt[:, step, :, None] * A) * h + (dt * u)[:, step, :, None] * B[:, step, None]
        steps.append((h * C[:, step, None]).sum(-1))
    return _difference(y, torch.stack(steps, dim=1))


def _random(*shapes: tuple[int, ...]) -> list[Tensor]:
    chance = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=chance, dtype=torch.float64) for shape in shapes]


def _there(value: Tensor, device: str) -> Tensor:
    return value.float().to(device)


def _difference(found: Tensor, exact: Tensor) -> float:
    return float((found.cpu().double() - exact).abs().max() / exact.abs().max())
