"""Captions: what the model says of a segment when nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from samcli.audio.windows import Levels
from samcli.engine.task import Heard, Scores
from samcli.records import Record


@dataclass(frozen=True)
class CaptionTask:
    """One sentence for each segment; none for silence."""

    name: str = "caption"
    prompt: str = ""
    wants_steps: bool = False

    def gatherer(self) -> CaptionGatherer:
        return CaptionGatherer()


class CaptionGatherer:
    """The state of the language model holds all there is to gather."""

    def add(
        self, start: float, end: float, clip: Scores | None, steps: Scores | None, levels: Levels | None = None
    ) -> None:
        pass

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        return [replace(heard.record("caption"), caption=text)]
