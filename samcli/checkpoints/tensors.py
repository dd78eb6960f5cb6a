"""Weights between disk and module: mapped, checked against the module's shapes, cast block by block.

The files are mapped and never read whole; pages are given back as soon as their block is copied. Loading therefore
peaks at the weights in their target type plus one block, whatever the type on disk.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from samcli.checkpoints.safety import Spot, shown
from samcli.errors import ModelError

BLOCK = 2**20  # elements copied at a time: 4 MiB of float32
TORCH_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


class Misfit(ModelError):
    """Weights that are not those of the model; each kind of difference is listed by itself."""

    def __init__(self, where: Path | str, differences: Mapping[str, list[str]]) -> None:
        parts = [f"{len(names)} {kind} ({_few(names)})" for kind, names in differences.items() if names]
        super().__init__(f"The weights in {where} do not fit its config: {'; '.join(parts)}.")
        self.missing = differences.get("missing", [])
        self.unexpected = differences.get("unexpected", [])
        self.misshaped = differences.get("mis-shaped", [])
        self.mistyped = differences.get("of a wrong number type", [])


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


class MappedWeights:
    """Tensors that are views of their files: free until read, and given back by `release`."""

    def __init__(self, headers: Mapping[Path, Mapping[str, Spot]]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._maps: list[tuple[int, int, mmap.mmap]] = []  # first address, length, map
        for path, spots in headers.items():
            with path.open("rb") as file:
                view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            whole = torch.frombuffer(view, dtype=torch.uint8)
            self._maps.append((whole.data_ptr(), len(view), view))
            for name, spot in spots.items():
                if spot.dtype not in TORCH_TYPES:
                    raise ModelError(f"{path} stores {shown(name)} as {spot.dtype}, which sam does not read.")
                self.tensors[name] = _view(whole, spot)

    def release(self, tensor: Tensor) -> None:
        """Give back the memory pages that hold `tensor`, if it is a view of a file."""
        if not hasattr(mmap, "MADV_DONTNEED"):  # pragma: no cover - Windows has no such advice
            return
        first, last = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        for address, length, view in self._maps:
            if address <= first and last <= address + length:
                start = (first - address) // mmap.PAGESIZE * mmap.PAGESIZE
                view.madvise(mmap.MADV_DONTNEED, start, last - address - start)


def _view(whole: Tensor, spot: Spot) -> Tensor:
    dtype = TORCH_TYPES[spot.dtype]
    if not spot.elements:
        return torch.empty(spot.shape, dtype=dtype)
    raw = whole[spot.start : spot.end]
    if spot.start % dtype.itemsize:  # legal, if odd: such a tensor cannot be viewed in place
        raw = raw.clone()
    return raw.view(dtype).view(spot.shape)


def fill(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    dtype: torch.dtype | None,
    device: torch.device | str,
    where: Path | str,
    source: MappedWeights | None = None,
) -> None:
    """Give a module that has only shapes its weights; strict, and all is compared before the first byte is taken.

    `dtype` None keeps each tensor's own. Tied parameters (one parameter under two names) need only one of them.
    """
    wanted: dict[str, Tensor] = module.state_dict(keep_vars=True)
    groups: dict[int, list[str]] = {}
    for name, slot in wanted.items():
        groups.setdefault(id(slot), []).append(name)
    differences = _compare(wanted, list(groups.values()), tensors)
    if any(differences.values()):
        raise Misfit(where, differences)
    for names in groups.values():
        slot = wanted[names[0]]
        given = next(tensors[name] for name in names if name in tensors)
        target = dtype if dtype is not None and given.is_floating_point() else given.dtype
        value = _copied(given, target, device, source)
        if isinstance(slot, nn.Parameter):
            value = nn.Parameter(value, requires_grad=slot.requires_grad)
        for name in names:
            owner, _, leaf = name.rpartition(".")
            place = module.get_submodule(owner)
            (place._parameters if isinstance(slot, nn.Parameter) else place._buffers)[leaf] = value  # type: ignore[assignment]
    for name, buffer in list(module.named_buffers()):
        if name not in wanted and not buffer.is_meta:  # a constant of the architecture
            owner, _, leaf = name.rpartition(".")
            kind = dtype if dtype is not None and buffer.is_floating_point() else buffer.dtype
            module.get_submodule(owner)._buffers[leaf] = buffer.to(device, kind)
    forgotten = [name for name, buffer in module.named_buffers() if buffer.is_meta]
    if forgotten:
        raise RuntimeError(f"buffers outside the checkpoint were built without values: {_few(forgotten)}")


def _compare(
    wanted: Mapping[str, Tensor], groups: Iterable[list[str]], tensors: Mapping[str, Tensor]
) -> dict[str, list[str]]:
    shared = [name for name in wanted if name in tensors]
    return {
        "missing": [names[0] for names in groups if not any(name in tensors for name in names)],
        "unexpected": [shown(name) for name in tensors if name not in wanted],
        "mis-shaped": [
            f"{name}: {tuple(tensors[name].shape)} where {tuple(wanted[name].shape)} is expected"
            for name in shared
            if tensors[name].shape != wanted[name].shape
        ],
        "of a wrong number type": [
            f"{name}: {str(tensors[name].dtype).removeprefix('torch.')}"
            for name in shared
            if tensors[name].is_floating_point() != wanted[name].is_floating_point()
        ],
    }


def _copied(given: Tensor, dtype: torch.dtype, device: torch.device | str, source: MappedWeights | None) -> Tensor:
    if not given.is_contiguous() or not given.numel():
        return given.to(device, dtype, copy=True)
    value = torch.empty(given.shape, dtype=dtype, device=device)
    flat, filled = given.view(-1), value.view(-1)
    for start in range(0, given.numel(), BLOCK):
        block = flat[start : start + BLOCK]
        filled[start : start + BLOCK].copy_(block)
        if source is not None:
            source.release(block)
    return value
