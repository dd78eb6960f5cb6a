"""Captions and answers from the facts of a recording, for models that score every step of time.

Windows are folded into a digest; when the last is in, the caption or the answer is put together from what it holds. The
language model is not asked: nothing is said that the scores do not bear out, however long the recording is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from samcli.answers.answer import answer
from samcli.answers.captions import caption
from samcli.answers.facts import Facts, Sureness
from samcli.answers.phrases import Answer
from samcli.digest.digest import Digest
from samcli.digest.digest import window as digest_of
from samcli.digest.names import Rows
from samcli.engine.options import RunOptions
from samcli.engine.task import Heard, Task, Window
from samcli.records import Event, Record
from samcli.text.labels import labels as audioset_labels

if TYPE_CHECKING:
    from samcli.models.facts import ModelFacts
    from samcli.models.interface import SoundModel
    from samcli.questions.meaning import Question


@dataclass(frozen=True)
class ComposedTask(Task):
    """One caption or, with a question, one answer for each recording."""

    labels: tuple[str, ...]
    step_seconds: float
    name: str = "caption"
    question: str = ""
    sureness: Sureness = field(default_factory=Sureness)
    wants_clip: bool = True
    wants_steps: bool = True

    @cached_property
    def rows(self) -> Rows:
        return Rows.of(self.labels, self.sureness.steps)

    @cached_property
    def asked(self) -> tuple[Question, ...]:
        from samcli.questions.meaning import understand

        return understand(self.question)

    def gatherer(self) -> ComposedGatherer:
        return ComposedGatherer(self)


class ComposedGatherer:
    """Folds the windows of one segment into its digest."""

    def __init__(self, task: ComposedTask) -> None:
        self.task = task
        self.digest: Digest | None = None

    def add(self, window: Window) -> None:
        times, scores = (window.start, window.end), (window.steps, window.clip)
        now = digest_of(self.task.rows, *times, *scores, window.levels, self.task.step_seconds)
        self.digest = now if self.digest is None else self.digest.followed_by(now)

    def records(self, heard: Heard, text: str | None) -> list[Record]:
        record = heard.record(self.task.name)
        if self.task.question:
            record = replace(record, question=self.task.question)
        if heard.silent or self.digest is None:
            return [record]
        said = self._said(Facts(self.digest, self.task.rows, self.task.sureness))
        evidence = tuple(Event(one.label, one.score, one.start, one.end) for one in said.evidence)
        if self.task.question:
            return [replace(record, answer=said.text, evidence=evidence)]
        return [replace(record, caption=said.text, evidence=evidence)]

    def _said(self, facts: Facts) -> Answer:
        if self.task.question:
            return answer(facts, self.task.asked)
        return Answer(*caption(facts))


def composed(name: str, model: SoundModel | ModelFacts, options: RunOptions) -> ComposedTask | None:
    """The task, where a model's scores bear it out; None where its language model is to speak."""
    spoken = options.refine or options.refine_with or options.beams is not None
    if spoken or model.step_seconds is None or "tag" not in model.tasks or not known(model.labels):
        return None
    question = options.question.strip() if name == "ask" else ""
    return ComposedTask(tuple(model.labels), model.step_seconds, name, question)


def known(labels: Sequence[str]) -> bool:
    """Whether every label is one that sentences can be made of."""
    return bool(labels) and set(labels) <= set(audioset_labels())
