"""The rows of a batch, shared out among the processor's cores.

A row's result depends on that row alone, so a core can take some of the rows and work through them by itself. That is
a sixth faster, for words two fifths, than when all cores share every single operation: most operations are small, and
after each of them all would wait for the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from samcli.engine.batches import LEAST_SECONDS
from samcli.engine.pieces import Wave
from samcli.engine.rows import gather_encodings, rows_of
from samcli.models.interface import Encoding, SoundModel, SpeakOptions

Result = TypeVar("Result")

# Rows that are worth a core of their own: the language model's steps are so short that with fewer each, the cores
# would wait for one another's Python.
FEWEST_SPEAKERS = 16


class Cores:
    """Whatever a model computes of a batch, computed in parts side by side."""

    def __init__(self, device: torch.device, count: int | None = None) -> None:
        """`count`: cores to be used; None: as many as torch would."""
        self.device = device
        self.count = (torch.get_num_threads() if count is None else count) if device.type == "cpu" else 1
        self._threads = ThreadPoolExecutor(self.count, "core")  # none begins before it is needed

    def encode(self, model: SoundModel, waves: Sequence[Wave], padded_to: int) -> Encoding:
        """Windows of a sound each, padded to one length in samples."""
        # Shorter than one patch is nothing to an encoder: then some of the silence that follows belongs to the window.
        least = round(LEAST_SECONDS * model.sample_rate)

        def work(part: slice) -> Encoding:
            some = waves[part]
            lengths = torch.tensor([max(len(wave), least) for wave in some])
            return model.encode(side_by_side(some, padded_to, self.device), lengths.to(self.device))

        parts = self._share(len(waves), 1, work)
        if len(parts) == 1:
            return parts[0]
        return gather_encodings([row for part in parts for row in rows_of(part, len(part.lengths))])

    def listen(self, model: SoundModel, encoding: Encoding, state: Any | None) -> Any:
        def work(part: slice) -> Any:
            heard = Encoding(*(None if value is None else value[part] for value in encoding))  # type: ignore[arg-type]
            return model.listen(heard, None if state is None else self._rows(model, state, part, count))

        count = len(encoding.lengths)
        parts = self._share(count, 1, work)
        return parts[0] if len(parts) == 1 else model.join(parts)

    def speak(self, model: SoundModel, state: Any, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        def work(part: slice) -> list[str]:
            return model.speak(self._rows(model, state, part, len(prompts)), prompts[part], options)

        return [text for part in self._share(len(prompts), FEWEST_SPEAKERS, work) for text in part]

    @staticmethod
    def _rows(model: SoundModel, state: Any, part: slice, count: int) -> Any:
        rows = range(count)[part]
        return state if len(rows) == count else model.select(state, rows)

    def _share(self, rows: int, fewest: int, work: Callable[[slice], Result]) -> list[Result]:
        """The results of `work` on all rows, in their order, each part of at least `fewest`."""
        parts = min(self.count, rows // fewest)
        if parts < 2:
            return [work(slice(0, rows))]

        @torch.inference_mode()  # which is a thread's own, as is the number of threads
        def alone(part: slice) -> Result:
            torch.set_num_threads(self.count // parts)
            return work(part)

        edges = [rows * number // parts for number in range(parts + 1)]
        futures = [self._threads.submit(alone, slice(start, end)) for start, end in pairwise(edges)]
        wait(futures)  # all of them: what fails is tried again, and wants their memory
        return [future.result() for future in futures]


def side_by_side(waves: Sequence[Wave], length: int, device: torch.device) -> Tensor:
    """(batch, samples) on the device, with silence behind what is shorter."""
    pin = device.type == "cuda"
    rows = torch.zeros(len(waves), length, pin_memory=pin)
    for row, wave in zip(rows, waves, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    return rows.to(device, non_blocking=pin)
