"""A recording in place of a microphone: as fast as it can be heard, or at its own pace."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import open_input
from samcli.engine.windows import Wave
from samcli.live.sources.base import News, Remark

BLOCK_SECONDS = 0.1  # handed on at a time, at its own pace


class Recording:
    """A file, or standard input."""

    waits = True

    def __init__(self, item: Input, rate: int, pace: float | None) -> None:
        """`pace`: how many times as fast as it was recorded; None: as fast as can be."""
        flows = item.source is not None and not item.source.seekable()
        self.item, self.rate, self.pace = replace(item, flows=flows), rate, pace
        self.name = item.display
        self.keeps_time = flows or pace is not None

    def news(self, skip: int) -> Iterator[News]:
        if self.item.source is not None:
            skip = 0  # what came through a pipe does not come again
        with open_input(self.item, self.rate) as reader:
            began, given = time.monotonic(), 0
            for wave in _without(reader, skip):
                if self.pace is None:
                    yield wave
                    continue
                size = max(1, round(BLOCK_SECONDS * self.rate))
                for at in range(0, len(wave), size):
                    given += len(wave[at : at + size])
                    time.sleep(max(0.0, began + given / self.rate / self.pace - time.monotonic()))
                    yield wave[at : at + size]
            if reader.warning is not None:
                yield Remark(f"{self.name}: {reader.warning}")


def _without(blocks: Iterable[Wave], skip: int) -> Iterator[Wave]:
    for wave in blocks:
        if skip >= len(wave):
            skip -= len(wave)
            continue
        yield wave[skip:]
        skip = 0
