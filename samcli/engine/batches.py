"""Which windows are computed together, and what to do when memory runs short.

Windows of one batch have one padded length, and that length depends on the window alone, never on its neighbours:
eight steps to an octave, so a short file costs what it lasts (an eighth more at worst) and a record does not depend
on which other files happened to be near. A batch that does not fit is halved, and halved it stays for the rest of the
run.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch

from samcli.errors import SamError
from samcli.models.facts import first_weight
from samcli.ssm.fast.graphs import drop_all

Entry = TypeVar("Entry")
Result = TypeVar("Result")

LEAST_SECONDS = 0.25  # anything shorter is followed by silence up to here: encoders need a patch or more
AUTO_SECONDS = {"cpu": 80.0, "cuda": 640.0, "mps": 160.0}  # of a batch; more gains little but memory use
AUTO_ROWS = {"cpu": 64, "cuda": 512, "mps": 128}
BYTES_PER_SECOND = 8 << 20  # of audio, a guess at an encoder's working memory; halving corrects it
MEMORY_SHARE = 0.25  # of what is free, to be asked for at the start
POOL_BATCHES = 6  # batches' worth of windows that may wait for others of their length
OLDEST_BATCHES = 8  # a window waits for at most so many batches of other lengths


@dataclass
class Budget:
    """How much may be computed at once."""

    rows: int
    seconds: float  # of audio, padding included
    halvings: int = 0

    @classmethod
    def start(cls, batch_size: int | Literal["auto"], device: torch.device) -> Budget:
        if batch_size != "auto":
            return cls(batch_size, float("inf"))
        fitting = available_memory(device) * MEMORY_SHARE / BYTES_PER_SECOND
        most = AUTO_SECONDS.get(device.type, AUTO_SECONDS["cpu"])
        return cls(AUTO_ROWS.get(device.type, AUTO_ROWS["cpu"]), max(1.0, min(most, fitting)))

    def rows_of(self, seconds: float) -> int:
        """How many windows of this padded length make a full batch."""
        return max(1, int(min(self.rows, self.seconds / seconds)))

    def halve(self, rows: int, seconds: float) -> None:
        """What was tried, `rows` windows of `seconds`, did not fit."""
        self.rows = max(1, min(self.rows, rows // 2))
        self.seconds = min(self.seconds, max(rows // 2, 1) * seconds)
        self.halvings += 1


class Pool(Generic[Entry]):
    """Windows that wait for company of their own padded length."""

    def __init__(self, budget: Budget, rate: int) -> None:
        self.budget = budget
        self.rate = rate
        self.batches = 0  # taken so far
        self.seconds = 0.0  # waiting
        self._waiting: dict[int, deque[tuple[int, Entry]]] = {}  # padded samples -> (batches when it came, entry)

    def add(self, samples: int, entry: Entry) -> None:
        length = padded_samples(samples, self.rate)
        self._waiting.setdefault(length, deque()).append((self.batches, entry))
        self.seconds += length / self.rate

    def take(self, flush: bool = False) -> tuple[int, list[Entry]] | None:
        """The next batch and its padded length: a full one, an overdue one, or with `flush` any."""
        length = self._choose(flush)
        if length is None:
            return None
        waiting = self._waiting[length]
        count = min(len(waiting), self.budget.rows_of(length / self.rate))
        entries = [waiting.popleft()[1] for _ in range(count)]
        if not waiting:
            del self._waiting[length]
        self.seconds -= count * length / self.rate
        self.batches += 1
        return length, entries

    def _choose(self, flush: bool) -> int | None:
        if not self._waiting:
            return None
        oldest = min(self._waiting, key=lambda length: self._waiting[length][0][0])
        if self.batches - self._waiting[oldest][0][0] >= OLDEST_BATCHES:
            return oldest
        fill = {
            length: len(waiting) / self.budget.rows_of(length / self.rate) for length, waiting in self._waiting.items()
        }
        fullest = max(fill, key=lambda length: fill[length])
        longest = max(self._waiting) / self.rate
        over = self.seconds > POOL_BATCHES * min(self.budget.seconds, self.budget.rows * longest)
        return fullest if flush or over or fill[fullest] >= 1 else None


def padded_samples(samples: int, rate: int) -> int:
    """The length a window is computed at."""
    least = round(LEAST_SECONDS * rate)
    if samples <= least:
        return least
    octave = least
    while octave * 2 < samples:
        octave *= 2
    step = max(1, octave // 8)
    return octave + -(-(samples - octave) // step) * step


def run_bisecting(
    rows: Sequence[Entry],
    compute: Callable[[Sequence[Entry]], Sequence[Result]],
    store: Callable[[Entry, Result], None],
    give_up: Callable[[Entry, Exception], None],
    shrink: Callable[[int], None],
) -> None:
    """Compute rows together; on failure in halves, so that one bad row is found and the others are kept.

    `shrink` is told the size that ran out of memory, which is not tried again. Errors for people pass through.
    """
    waiting = deque([rows])
    most = len(rows)
    while waiting:
        group = waiting.popleft()
        if len(group) > most:
            waiting.extendleft((group[most:], group[:most]))
            continue
        outcome = _attempt(group, compute)
        if not isinstance(outcome, Exception):
            for row, result in zip(group, outcome, strict=True):
                store(row, result)
            continue
        if out_of_memory(outcome):
            release_memory()
            shrink(len(group))
            most = max(1, len(group) // 2)
        if len(group) == 1:
            give_up(group[0], outcome)
        else:
            middle = (len(group) + 1) // 2
            waiting.extendleft((group[middle:], group[:middle]))


def _attempt(
    rows: Sequence[Entry], compute: Callable[[Sequence[Entry]], Sequence[Result]]
) -> Sequence[Result] | Exception:
    try:
        return compute(rows)
    except SamError:
        raise
    except Exception as error:
        # The frames of its traceback hold the tensors that did not fit; let go of them before trying again.
        error.__context__ = error.__cause__ = None
        return error.with_traceback(None)


def out_of_memory(error: BaseException) -> bool:
    """Whether this is any of the ways in which memory runs short."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    signs = ["out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc"]
    signs += ["cublas_status_alloc_failed", "cudnn_status_alloc_failed", "cusolver_status_alloc_failed"]
    # What oneDNN says when it gets none; when a product does not fit together it speaks of a primitive descriptor.
    starved = text.startswith("could not create a primitive") and "descriptor" not in text
    return isinstance(error, RuntimeError) and (starved or any(sign in text for sign in signs))


def device_lost(error: BaseException) -> bool:
    """Whether the device is of no more use to this process: after such an error every further call fails."""
    text = str(error).lower()
    signs = (
        "illegal memory access",
        "device-side assert",
        "launch failure",
        "misaligned address",
        "ecc error",
        "no kernel image",
    )
    return isinstance(error, RuntimeError) and not out_of_memory(error) and any(sign in text for sign in signs)


def release_memory() -> None:
    drop_all()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def available_memory(device: torch.device) -> float:
    """Bytes that are free now, as far as the system tells."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    free = [4.0 * 2**30]  # where nothing can be read
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")] or free
        control = Path("/sys/fs/cgroup")
        limit, used = ((control / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if limit != "max":
            free.append(float(limit) - float(used))
    except (OSError, ValueError):
        pass
    return max(0.0, min(free))


def device_of(model: Any) -> torch.device:
    """Where a model wants its input."""
    device = getattr(model, "device", None)
    weight = first_weight(model) if device is None else None
    return torch.device(weight.device if weight is not None else device if device is not None else "cpu")
