"""Which code does the arithmetic on this machine, for people."""

from __future__ import annotations

import torch

from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2
from samcli.ssm.fast.compiled import decoding as compiled_decoding
from samcli.ssm.fast.compiled import norms as compiled_norms
from samcli.ssm.fast.compiled import reading as compiled_reading
from samcli.ssm.fast.compiled import windows as compiled_windows
from samcli.ssm.fast.cuda import cuda_convolution, mamba_ssm_scan
from samcli.ssm.fast.kernels import plain
from samcli.ssm.fast.linear import onednn_products
from samcli.ssm.fast.loops import compiler
from samcli.ssm.fast.maps import onednn_convolutions
from samcli.ssm.mamba2 import Mamba2, Mamba2Config


def describe() -> dict[str, str]:
    """What is in use, for people, on every kind of device present."""
    found = {
        "choice": "plain PyTorch, forced" if plain() else "automatic",
        "cpu products": "oneDNN, packed for decoding" if not plain() and onednn_products() else "PyTorch",
        "cpu convolutions": "oneDNN, with their activation" if not plain() and onednn_convolutions() else "PyTorch",
        "cpu loops": loops(),
    }
    if torch.cuda.is_available():
        found["cuda scan"] = "mamba_ssm" if mamba_ssm_scan() else f"PyTorch ({missing('mamba_ssm')})"
        found["cuda convolution"] = "causal_conv1d" if cuda_convolution() else f"PyTorch ({missing('causal_conv1d')})"
        found["cuda decoding"] = "PyTorch" if plain() else "captured graph"
    return found


def loops() -> str:
    """Which loops are compiled; asking compiles those that never were."""
    if plain() or not compiler.installed():
        return "PyTorch (forced)" if plain() else "PyTorch (numba is not installed)"
    agree = {
        "decoding": all(map(compiled_decoding.agrees, compiler.KINDS)),
        "reading": all(compiled_reading.agrees(Mamba2, Mamba2Config, weights) for weights in compiler.KINDS),
        "windows": all(
            compiled_windows.agrees(BidirectionalMamba2, BidirectionalConfig, weights) for weights in compiler.KINDS
        ),
        "norms": compiled_norms.agrees(),
    }
    wrong = [name for name, right in agree.items() if not right]
    return f"numba, but PyTorch for {', '.join(wrong)}" if wrong else "numba"


def missing(package: str) -> str:
    """Why a package is not in use."""
    if plain():
        return "forced"
    try:
        __import__(package)
    except Exception as error:  # a broken binary package can raise anything at all
        return f"{package}: {type(error).__name__}"
    return f"{package} disagreed"
