"""The rows of a batch, shared out among the processor's cores.

A row's result depends on that row alone, so a core can take some of the rows and work through them by itself. That is
a sixth faster, for words two fifths, than when all cores share every single operation: most operations are small, and
after each of them all would wait for the last. A batch can be begun while another is under way: a core that is through
with its part of the first goes on with the second.

A card takes a batch whole. One thread lays out the next batch and launches it while another waits for the results of
the last, so that the card goes from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from samcli.engine.batches import LEAST_SECONDS
from samcli.engine.windows import Wave
from samcli.models.interface import Encoding, SoundModel, SpeakOptions

Result = TypeVar("Result")

# Rows that are worth a core of their own: the language model's steps are so short that with fewer each, the cores
# would wait for one another's Python.
FEWEST_SPEAKERS = 16
LANES = 2  # batches of a card that are under way


class Pending(Generic[Result]):
    """A list of results whose parts are being computed."""

    def __init__(self, parts: Sequence[Future[Result]]) -> None:
        self._parts = parts

    def done(self) -> bool:
        return all(part.done() for part in self._parts)

    def results(self) -> list[Result]:
        wait(self._parts)  # all of them: what fails is tried again, and wants their memory
        return [part.result() for part in self._parts]


class Cores:
    """Whatever a model computes of a batch, computed in parts side by side."""

    def __init__(self, device: torch.device, count: int | None = None) -> None:
        """`count`: cores to be used; None: as many as torch would."""
        self.device, self.whole = device, device.type == "cuda"  # a card takes all rows at once
        self.count = (torch.get_num_threads() if count is None else count) if device.type == "cpu" else 1
        lanes = LANES if self.whole else self.count
        # None begins before it is needed. Which card is the current one is a thread's own: what takes it, such as
        # pinned memory, would else open the first card beside the one that computes.
        own = (torch.cuda.set_device, (device,)) if self.whole and device.index is not None else (None, ())
        self._threads = ThreadPoolExecutor(lanes, "core", *own)

    def begin(self, rows: int, work: Callable[[slice], Result], fewest: int = 1) -> Pending[Result]:
        """`work` on all rows, in parts of at least `fewest`, in their order."""
        parts = min(self.count, rows // fewest)
        if self.whole:
            return Pending([self._threads.submit(torch.inference_mode()(work), slice(0, rows))])
        if parts < 2:
            return Pending([_at_once(work, slice(0, rows))])

        @torch.inference_mode()  # which is a thread's own, as is the number of threads
        def alone(part: slice) -> Result:
            torch.set_num_threads(self.count // parts)
            return work(part)

        edges = [rows * number // parts for number in range(parts + 1)]
        return Pending([self._threads.submit(alone, slice(start, end)) for start, end in pairwise(edges)])

    def listen(self, model: SoundModel, encoding: Encoding, state: Any | None) -> Any:
        def work(part: slice) -> Any:
            heard = Encoding(*(None if value is None else value[part] for value in encoding))  # type: ignore[arg-type]
            return model.listen(heard, None if state is None else self._rows(model, state, part, count))

        count = len(encoding.lengths)
        parts = self.begin(count, work).results()
        return parts[0] if len(parts) == 1 else model.join(parts)

    def speak(self, model: SoundModel, state: Any, prompts: Sequence[str], options: SpeakOptions) -> list[str]:
        def work(part: slice) -> list[str]:
            return model.speak(self._rows(model, state, part, len(prompts)), prompts[part], options)

        return [text for part in self.begin(len(prompts), work, FEWEST_SPEAKERS).results() for text in part]

    @staticmethod
    def _rows(model: SoundModel, state: Any, part: slice, count: int) -> Any:
        rows = range(count)[part]
        return state if len(rows) == count else model.select(state, rows)


def _at_once(work: Callable[[slice], Result], part: slice) -> Future[Result]:
    """Computed here and now, for whoever asks later."""
    future: Future[Result] = Future()
    try:
        future.set_result(work(part))
    except Exception as error:
        future.set_exception(error)
    return future


def encoded(model: SoundModel, waves: Sequence[Wave], padded_to: int, device: torch.device) -> Encoding:
    """Windows of a sound each, padded to one length in samples."""
    # Shorter than one patch is nothing to an encoder: then some of the silence that follows belongs to the window.
    least = round(LEAST_SECONDS * model.sample_rate)
    lengths = torch.tensor([max(len(wave), least) for wave in waves])
    # how long the rows are decides shapes, which a card would have to be asked for
    return model.encode(side_by_side(waves, padded_to, device), lengths)


def side_by_side(waves: Sequence[Wave], length: int, device: torch.device) -> Tensor:
    """(batch, samples) on the device, with silence behind what is shorter."""
    pin = device.type == "cuda"
    rows = torch.zeros(len(waves), length, pin_memory=pin)
    for row, wave in zip(rows, waves, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    return rows.to(device, non_blocking=pin)
