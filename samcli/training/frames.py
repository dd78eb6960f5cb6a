"""Filter-bank frames of many recordings on disk, computed once and mapped into memory ever after.

Twelve hours of sound are 1.1 GB. What cannot be read is left out and said; a recording of any length streams through.
The index is written last, so a store that was stopped halfway is made anew.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from samcli.audio.front_end import KALDI, FrontEnd
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import open_input
from samcli.errors import InputError, UsageError
from samcli.writers.disk import own_file
from samcli.writers.files import explain, prepare_own_folder, write_whole

Frames = NDArray[np.float16]  # (frames, mel bins) of log energies

FRAMES, INDEX = "frames.f16", "frames.json"


class FrameStore:
    """`store[number]`, or by its name: the frames of one recording, straight from the mapped file."""

    def __init__(self, folder: Path) -> None:
        with own_file(folder / INDEX, own=2) as file:
            index = json.load(file)
        self.asked: list[str] = index["asked"]  # every recording that was to be read
        self.names: list[str] = index["names"]
        self.places = {name: number for number, name in enumerate(self.names)}
        self.lengths: list[int] = index["lengths"]  # in frames
        self.skipped: dict[str, str] = index["skipped"]  # name to cause
        self.front_end: str = index.get("front_end", KALDI.name)
        self._bands = int(index.get("bands", KALDI.bands))
        self._per_second = float(index.get("frames_per_second", KALDI.frames_per_second))
        self._starts = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])
        self._path = folder / FRAMES
        self._mapped: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self.places

    def __getitem__(self, recording: int | str) -> Frames:
        number = self.places[recording] if isinstance(recording, str) else recording
        if self._mapped is None:  # by every process for itself
            self._mapped = np.memmap(self._path, np.float16, "r").reshape(-1, self._bands)
        return self._mapped[self._starts[number] : self._starts[number + 1]]

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_mapped": None}

    @property
    def seconds(self) -> float:
        return sum(self.lengths) / self._per_second


def make_frames(
    inputs: Sequence[Input],
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, of: None,
    front_end: FrontEnd = KALDI,
) -> FrameStore:
    """The store of these recordings in `folder`: the one that is there, if it was made of the same, or a new one."""
    asked = [item.display for item in inputs]
    if (folder / INDEX).exists():
        store = FrameStore(folder)
        if store.asked == asked and store.front_end == front_end.name:
            return store
    names: list[str] = []
    lengths: list[int] = []
    skipped: dict[str, str] = {}
    try:
        prepare_own_folder(folder)
        with own_file(folder / FRAMES, "wb", own=2) as file:
            for done, (item, found) in enumerate(_ahead(inputs, front_end), 1):
                if isinstance(found, InputError):
                    skipped[item.display] = str(found)
                else:
                    names.append(item.display)
                    lengths.append(len(found))
                    file.write(found.tobytes())
                progress(done, len(inputs))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise explain(folder / FRAMES, error) from error
    if not names:
        raise UsageError(f"None of the {len(inputs)} recordings can be read: {next(iter(skipped.values()))}")
    made_by = {
        "front_end": front_end.name,
        "bands": front_end.bands,
        "frames_per_second": front_end.frames_per_second,
    }
    index = {"asked": asked, "names": names, "lengths": lengths, "skipped": skipped, **made_by}
    write_whole(folder / INDEX, json.dumps(index).encode("utf-8", "surrogatepass"), own=2)
    return FrameStore(folder)


def read_frames(item: Input, front_end: FrontEnd = KALDI) -> Frames:
    """All frames of one recording, at least one: log band powers as they were recorded."""
    if item.problem is not None:
        raise InputError(item.problem[1], item.problem[0])
    with open_input(item, front_end.sample_rate) as reader:
        frames = front_end.stream(map(torch.from_numpy, reader))
        return np.concatenate([part.numpy().astype(np.float16) for part in frames])


def _ahead(inputs: Iterable[Input], front_end: FrontEnd) -> Iterator[tuple[Input, Frames | InputError]]:
    """Every input with its frames or what is wrong with it, in order, a few decoded at the same time."""

    def read(item: Input) -> Frames | InputError:
        try:
            return read_frames(item, front_end)
        except InputError as error:
            return error

    threads = min(8, os.cpu_count() or 1)
    waiting: deque[tuple[Input, Future[Frames | InputError]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in inputs:
            waiting.append((item, pool.submit(read, item)))
            if len(waiting) > 2 * threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
