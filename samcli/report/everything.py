"""Tags, events and captions of a recording from one hearing: what a page shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from samcli.engine.options import RunOptions
from samcli.engine.task import Gatherer, Heard, Task, Window
from samcli.records import Record
from samcli.tasks.composed import ComposedTask, composed
from samcli.tasks.run import task_for

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

STRETCH_SECONDS = 30.0  # of each caption of a long recording


@dataclass(frozen=True)
class Everything(Task):
    """One record of tags, one of each event, and captions: of all of it and of each stretch."""

    tags: Task
    events: Task | None  # None: the model cannot place sounds in time
    words: ComposedTask | None  # None: its scores are not enough to make sentences of
    name: str = "tag"
    prompt: None = None
    wants_clip: bool = True
    wants_steps: bool = True

    def gatherer(self) -> Gatherer:
        return _Gatherer(self)


def everything(model: SoundModel) -> Everything:
    """All that a model can say of a recording without its language model, which is slower than all the rest."""
    events = None if model.step_seconds is None else task_for("tag", model, RunOptions(timeline=True))
    words = composed("caption", model, RunOptions())
    return Everything(task_for("tag", model, RunOptions()), events, words, wants_steps=events is not None)


@dataclass
class _Gatherer:
    task: Everything
    whole: list[Gatherer] = field(init=False)
    stretches: list[tuple[float, float, Gatherer]] = field(default_factory=list)  # with their ends

    def __post_init__(self) -> None:
        parts = (self.task.tags, self.task.events, self.task.words)
        self.whole = [task.gatherer() for task in parts if task is not None]

    def add(self, window: Window) -> None:
        for part in self.whole:
            part.add(window)
        if self.task.words is None:
            return
        if not self.stretches or window.end - self.stretches[-1][0] > STRETCH_SECONDS:
            self.stretches.append((window.start, window.end, self.task.words.gatherer()))
        begin, _, words = self.stretches[-1]
        words.add(window)
        self.stretches[-1] = (begin, window.end, words)

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        records = [record for part in self.whole for record in part.records(heard, text)]
        if len(self.stretches) < 2:
            return records
        for start, end, words in self.stretches:
            records += words.records(replace(heard, start=start, end=end, silent=False), None)
        return records
