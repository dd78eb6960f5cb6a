"""What the model says of a segment: a caption where nothing is asked, else an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

from samcli.engine.task import Heard, Task, Window
from samcli.records import Record


@dataclass(frozen=True)
class SpeakTask(Task):
    """One text for each segment; none for silence, of which nothing but `silent` is known."""

    name: str
    prompt: str = ""  # the question; none for a caption

    def gatherer(self) -> SpeakGatherer:
        return SpeakGatherer(self.prompt)


class SpeakGatherer:
    """Remembers the question; all else is in the state of the language model."""

    def __init__(self, question: str) -> None:
        self.question = question

    def add(self, window: Window) -> None:
        pass

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        if not self.question:
            return [replace(heard.record("caption"), caption=text)]
        return [replace(heard.record("ask"), question=self.question, answer=text)]
