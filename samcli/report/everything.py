"""Tags, events and captions of a recording from one hearing: what a page shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from samcli.audio.windows import Levels
from samcli.engine.options import RunOptions
from samcli.engine.task import Gatherer, Heard, Scores, Task
from samcli.records import Record
from samcli.tasks.composed import ComposedTask, composed
from samcli.tasks.run import task_for

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

STRETCH_SECONDS = 30.0  # of each caption of a long recording


@dataclass(frozen=True)
class Everything:
    """One record of tags, one of each event, and captions: of all of it and of each stretch."""

    tags: Task
    events: Task | None  # None: the model cannot place sounds in time
    words: ComposedTask | None  # None: its scores are not enough to make sentences of
    name: str = "tag"
    prompt: None = None

    @property
    def wants_steps(self) -> bool:
        return self.events is not None

    def gatherer(self) -> Gatherer:
        return _Gatherer(self)


def everything(model: SoundModel) -> Everything:
    """All that a model can say of a recording without its language model, which is slower than all the rest."""
    events = None if model.step_seconds is None else task_for("tag", model, RunOptions(timeline=True))
    return Everything(task_for("tag", model, RunOptions()), events, composed("caption", model, RunOptions()))


@dataclass
class _Gatherer:
    task: Everything
    whole: list[Gatherer] = field(init=False)
    stretches: list[tuple[float, float, Gatherer]] = field(default_factory=list)  # with their ends

    def __post_init__(self) -> None:
        parts = (self.task.tags, self.task.events, self.task.words)
        self.whole = [task.gatherer() for task in parts if task is not None]

    def add(
        self, start: float, end: float, clip: Scores | None, steps: Scores | None, levels: Levels | None = None
    ) -> None:
        for part in self.whole:
            part.add(start, end, clip, steps, levels)
        if self.task.words is None:
            return
        if not self.stretches or end - self.stretches[-1][0] > STRETCH_SECONDS:
            self.stretches.append((start, end, self.task.words.gatherer()))
        begin, _, words = self.stretches[-1]
        words.add(start, end, clip, steps, levels)
        self.stretches[-1] = (begin, end, words)

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        from dataclasses import replace

        told = [record for part in self.whole for record in part.records(heard, text)]
        if len(self.stretches) < 2:
            return told
        for start, end, words in self.stretches:
            told += words.records(replace(heard, start=start, end=end, silent=False), None)
        return told
