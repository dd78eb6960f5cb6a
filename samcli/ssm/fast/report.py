"""Which code does the arithmetic on this machine, for people."""

from __future__ import annotations

from samcli.ssm.bidirectional import BidirectionalConfig, BidirectionalMamba2
from samcli.ssm.card import report as card
from samcli.ssm.fast.compiled import decoding as compiled_decoding
from samcli.ssm.fast.compiled import norms as compiled_norms
from samcli.ssm.fast.compiled import reading as compiled_reading
from samcli.ssm.fast.compiled import windows as compiled_windows
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
    found |= card.describe()
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
