"""Where a model goes: the device it runs on, and what is said when its memory is too small."""

from __future__ import annotations

from typing import Any

from samcli.errors import DeviceError, UsageError


class enough_memory:
    """`with enough_memory(name):` turns a failed allocation into a sentence."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        import torch

        full = isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
        if isinstance(error, Exception) and full:
            raise DeviceError(
                f"There is not enough memory for {self.name}; try --dtype bfloat16 or a smaller model."
            ) from error


def suit_card(module: Any) -> None:
    """The precision that a card is quickest in and words do not suffer from, where nobody asked for another.

    The language model, which is bound by reading its weights, in bfloat16; products of float32 may round to TF32.
    """
    import torch

    matmul: Any = torch.backends.cuda.matmul
    convolutions: Any = getattr(torch.backends.cudnn, "conv", None)
    if hasattr(matmul, "fp32_precision"):
        matmul.fp32_precision = "tf32"
        if convolutions is not None:
            convolutions.fp32_precision = "tf32"
    else:
        matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    language = getattr(module, "language", None)
    if language is not None:
        language.to(torch.bfloat16)


def pick_device(device: str) -> str:
    """`auto` becomes cuda, mps or cpu, whichever is there, in that order; a device that is not there is refused."""
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device)
    except RuntimeError:
        raise UsageError(f"'{device}' is not a device; use auto, cpu, cuda, cuda:0 or mps.") from None
    there = {
        "cpu": True,
        "cuda": (kind.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(kind.type, False):
        raise UsageError(f"The device '{device}' is unavailable; use --device cpu or auto.")
    return device


def pick_devices(device: str) -> list[str]:
    """The devices that a run shares its files out to: all cards there are, or those that are named with commas."""
    import torch

    names = [pick_device(name.strip()) for name in device.split(",")]
    if names != ["cuda"]:
        return names
    count = torch.cuda.device_count()
    return [f"cuda:{number}" for number in range(count)] if count > 1 else names
