"""Questions: the model's answer about a segment."""

from __future__ import annotations

from dataclasses import dataclass, replace

from samcli.engine.task import Heard, Task, Window
from samcli.records import Record


@dataclass(frozen=True)
class AskTask(Task):
    """One answer for each segment; none for silence, of which nothing but `silent` is known."""

    prompt: str  # the question
    name: str = "ask"

    def gatherer(self) -> AskGatherer:
        return AskGatherer(self.prompt)


class AskGatherer:
    """Remembers the question."""

    def __init__(self, question: str) -> None:
        self.question = question

    def add(self, window: Window) -> None:
        pass

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        return [replace(heard.record("ask"), question=self.question, answer=text)]
