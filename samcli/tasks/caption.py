"""Captions: what the model says of a segment when nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from samcli.engine.task import Heard, Task, Window
from samcli.records import Record


@dataclass(frozen=True)
class CaptionTask(Task):
    """One sentence for each segment; none for silence."""

    name: str = "caption"
    prompt: str = ""

    def gatherer(self) -> CaptionGatherer:
        return CaptionGatherer()


class CaptionGatherer:
    """The state of the language model holds all there is to gather."""

    def add(self, window: Window) -> None:
        pass

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        return [replace(heard.record("caption"), caption=text)]
