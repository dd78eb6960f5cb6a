"""A card that is played by the processor.

Its tensors say that they lie on cuda:0; their numbers lie in this machine's memory. As on a real card, what lies here
and what lies there cannot be mixed, and some operations make the processor wait: those are noted. Products of float32
may round their factors to TF32. No stream is played: everything happens in order, in one thread.
Only where there is no real card: PyTorch would take that for started.
"""

from __future__ import annotations

import traceback
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CARD = torch.device("cuda:0")
aten: Any = torch.ops.aten
MOVES = {aten.copy_.default, aten.index.Tensor, aten.index_put.default, aten.index_put_.default}  # may mix both
# Results whose size or value the processor must know.
ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "repeat_interleave.Tensor", "aten.equal")
FACTORS = {
    "aten.mm": (0, 1),
    "aten.bmm": (0, 1),
    "aten.addmm": (1, 2),
    "aten.baddbmm": (1, 2),
    "aten.convolution": (0, 1),
}
SMALL = 4096  # numbers that a driver takes over without a wait, pinned or not


class OnCard(Tensor):
    held: Tensor

    @staticmethod
    def __new__(cls, real: Tensor) -> OnCard:
        with torch.inference_mode(False):  # a view of a weight is none of inference mode's, there as here
            made: Any = Tensor._make_wrapper_subclass(
                cls, real.size(), real.stride(), real.storage_offset(), dtype=real.dtype, device="meta"
            )
        made.held = real
        return made  # type: ignore[no-any-return]

    __torch_function__ = torch._C._disabled_torch_function_impl
    # What our code asks; PyTorch itself, which may be built without CUDA, takes it for a tensor without numbers.
    device = property(lambda self: CARD)
    is_cuda = property(lambda self: True)
    is_cpu = is_meta = property(lambda self: False)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{function}: nobody plays the card here")

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    @property
    def _version(self) -> int:
        return 0 if self.held.is_inference() else self.held._version


class PretendCard(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.waits: list[tuple[str, str]] = []  # what the processor waited for, and where in our code
        self.rounds = False  # products of float32 to TF32
        self.launches = 0

    def __enter__(self) -> PretendCard:
        self._lifting = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor(..., device=...)` comes by here, too
        self._starting, torch.cuda._lazy_init = torch.cuda._lazy_init, lambda: None  # there is nothing to start
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.cuda._lazy_init = self._starting
        torch._C._set_only_lift_cpu_tensors(self._lifting)

    def places(self) -> set[str]:
        """Where in our code the processor waited."""
        return {place for _, place in self.waits}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if torch._C._dispatch_has_kernel_for_dispatch_key(function.name(), "CompositeImplicitAutograd"):
            with self:
                found = function.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        given = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
        there = [each for each in given if isinstance(each, OnCard)]
        here = [each for each in given if not isinstance(each, OnCard) and each.dim()]
        if there and here and function not in MOVES:
            raise RuntimeError(f"{function}: expected all tensors on one device, found cuda:0 and cpu")
        device = kwargs.get("device")
        lands = bool(there) if device is None else torch.device(device).type in ("cuda", "meta")
        self._note(function, args, kwargs, there, here, lands)
        pinned = kwargs.pop("pin_memory", None)
        if device is not None:
            kwargs["device"] = torch.device("cpu")
        self.launches += bool(there) and not function.is_view
        factors = self._factors if there and self.rounds else lambda function, args: args
        result = function(*factors(function, tree_map(real, args)), **tree_map(real, kwargs))
        if pinned:
            result.pinned = True
        same = {id(each.held if isinstance(each, OnCard) else each): each for each in given}

        def placed(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return same[id(value)] if id(value) in same else OnCard(value) if lands else value

        return tree_map(placed, result)

    def _note(self, function: Any, args: Any, kwargs: Any, there: list[Any], here: list[Any], lands: bool) -> None:
        name = str(function)
        waits = bool(there) and any(asking in name for asking in ASKING)
        waits |= bool(there) and not lands and "_to_copy" in name  # read back
        waits |= function is aten.copy_.default and bool(there) and not isinstance(args[0], OnCard)
        if function in MOVES and function is not aten.copy_.default:  # a mask is counted before it is used
            waits |= any(isinstance(each, OnCard) and each.dtype is torch.bool for each in tree_flatten(args[1])[0])
        if lands and here and not (getattr(here[0], "pinned", False) and kwargs.get("non_blocking")):
            waits |= sum(each.numel() for each in here) > SMALL
        if waits:
            frames = [frame for frame in traceback.extract_stack() if "/samcli/" in frame.filename]
            self.waits.append(
                (name, f"{frames[-1].filename.rpartition('/samcli/')[2]}:{frames[-1].name}" if frames else "")
            )

    @staticmethod
    def _factors(function: Any, args: Any) -> Any:
        places = next((places for name, places in FACTORS.items() if str(function).startswith(name + ".")), ())
        return tuple(
            rounded(each) if at in places and each.dtype is torch.float32 else each for at, each in enumerate(args)
        )


def real(value: Any) -> Any:
    return value.held if isinstance(value, OnCard) else value


def rounded(x: Tensor) -> Tensor:
    """To TF32: ten bits behind the point."""
    bits = x.clone(memory_format=torch.preserve_format).view(torch.int32)
    return bits.add_(1 << 12).bitwise_and_(~((1 << 13) - 1)).view(torch.float32)


def moved(module: nn.Module) -> None:
    """All weights of a module, to the card that is played."""
    for each in module.modules():
        for kept in (each._parameters, each._buffers):
            for name, value in kept.items():
                if value is not None:
                    there = OnCard(value.detach())
                    kept[name] = nn.Parameter(there, requires_grad=False) if kept is each._parameters else there
