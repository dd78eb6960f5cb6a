"""Records while the sound still comes: one for every segment, as soon as it was heard.

Unlike a run over files it looks no further ahead than the segment, knows no duration (that of a record is how much had
come by then), and computes one segment at a time. A segment is heard as any other: its words and scores are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from samcli.audio.windows import cut, levels_db
from samcli.engine.inputs.decode_ahead import Job
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import Ended, mono, open_input, resampled
from samcli.engine.options import RunOptions, RunReport
from samcli.engine.stages import Stages
from samcli.engine.windows import Cut, Piece, Wave, window_lengths
from samcli.errors import InputError
from samcli.models.interface import SoundModel
from samcli.records import Record
from samcli.tasks.run import task_for


def stream(
    task: str, source: Input | Iterable[Wave], rate: int, model: SoundModel, options: RunOptions
) -> Iterator[Record]:
    """The records of an input, or of mono blocks at `rate`. Raises InputError where a run gives up the input;
    a stretch without words is a record with an error."""
    stages = Stages(task_for(task, model, options), model, replace(options, ordered=True), RunReport())
    return _records(stages, source, rate, options)


def _records(stages: Stages, source: Input | Iterable[Wave], rate: int, options: RunOptions) -> Iterator[Record]:
    if isinstance(source, Input):
        with open_input(source, stages.rate) as reader:
            yield from _heard(stages, source, reader, options)
            return
    item = Input("-", "stream", None, "stream", source=source)
    blocks = resampled((mono(np.asarray(block)) for block in source), rate, stages.rate)
    yield from _heard(stages, item, blocks, options)


def _heard(stages: Stages, item: Input, blocks: Iterable[Wave], options: RunOptions) -> Iterator[Record]:
    rate = stages.rate
    model = stages.model
    how = Cut(rate, options.window_seconds or model.window_seconds, step_seconds=model.step_seconds)
    start = 0
    for index, segment in enumerate(cut(blocks, options.segment or model.window_seconds, rate)):
        job = Job(index, item, None)
        lengths = window_lengths(len(segment.wave), how.window, how.grain)
        offset = 0
        for order, length in enumerate(lengths):
            wave = segment.wave[offset : offset + length]
            last = order + 1 == len(lengths)
            stages.take(job, Piece(0, order, start + offset, wave, last, levels_db(wave, rate)))
            offset += length
        start += offset
        stages.take(job, Ended(start / rate, start / rate, None))
        while stages.work(flush=True):
            pass
        while stages.done:
            for record in stages.done.popleft().records:
                if record.error is not None and record.start is None:
                    raise InputError(record.error.message, record.error.type)
                yield record
