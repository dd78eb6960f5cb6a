"""How the loops are compiled, and on how many threads they run."""

from __future__ import annotations

import functools
import importlib.util
import threading
from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Function = Callable[..., Any]
Array = NDArray[Any]
KINDS = (torch.float32, torch.bfloat16)  # of weights that the loops can read

# Sums in any order, as vectors need; but what is not a number stays so.
FREEDOMS = {"contract", "reassoc", "arcp", "nsz", "afn"}


def installed() -> bool:
    return importlib.util.find_spec("numba") is not None


def compiled(function: Function) -> Function:
    """For the types of its first call; kept on disk for later processes. The interpreter's lock is released."""
    return _compiled(function, parallel=False)


def shared_out(function: Function) -> Function:
    """The same for loops over `prange`, each turn of which may run on a thread of its own."""
    return _compiled(function, parallel=True)


def _compiled(function: Function, **options: bool) -> Function:
    decorate = functools.partial(_numba().njit, nogil=True, fastmath=FREEDOMS, error_model="numpy", **options)
    try:
        kept: Function = decorate(cache=True)(function)
    except RuntimeError:  # there is nowhere to write
        kept = decorate()(function)
    return kept


@functools.cache
def _numba() -> Any:
    import numba

    # Its simplest pool ends the process when two threads compute at once.
    if numba.config.THREADING_LAYER == "default":
        numba.config.THREADING_LAYER = "threadsafe"
    # Its threads may be torch's own, whose number it sets anew when it begins.
    from numba.np.ufunc.parallel import _launch_threads

    count = torch.get_num_threads()
    _launch_threads()
    torch.set_num_threads(count)
    return numba


def threads() -> int:
    """As many as torch would use in this thread; numba is told when that changes."""
    count = min(torch.get_num_threads(), _most_threads())
    if count != getattr(_told, "threads", 0):
        _numba().set_num_threads(count)
        _told.threads = count
    return count


_told = threading.local()


@functools.cache
def _most_threads() -> int:
    return int(_numba().config.NUMBA_NUM_THREADS)


def array(tensor: Tensor) -> Array:
    """A view of a tensor in its own memory; bfloat16 as its bits."""
    tensor = tensor.detach()
    return tensor.view(torch.uint16).numpy() if tensor.dtype is torch.bfloat16 else tensor.numpy()


def floats(tensor: Tensor) -> Array:
    """A tensor's numbers as float32, side by side; in its own memory where they are that already."""
    return array(tensor.detach().float().contiguous())
