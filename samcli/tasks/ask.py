"""Questions: the model's answer about a segment."""

from __future__ import annotations

from dataclasses import dataclass, replace

from samcli.audio.windows import Levels
from samcli.engine.task import Heard, Scores
from samcli.records import Record


@dataclass(frozen=True)
class AskTask:
    """One answer for each segment; none for silence, of which nothing but `silent` is known."""

    prompt: str  # the question
    name: str = "ask"
    wants_steps: bool = False

    def gatherer(self) -> AskGatherer:
        return AskGatherer(self.prompt)


class AskGatherer:
    """Remembers the question."""

    def __init__(self, question: str) -> None:
        self.question = question

    def add(
        self, start: float, end: float, clip: Scores | None, steps: Scores | None, levels: Levels | None = None
    ) -> None:
        pass

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        return [replace(heard.record("ask"), question=self.question, answer=text)]
