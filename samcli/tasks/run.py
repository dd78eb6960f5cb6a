"""A task by its name: its settings checked against the model, then run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from samcli.engine.inputs.find import Input
from samcli.engine.journal import Journal
from samcli.engine.options import TIMELINE_THRESHOLD, RunOptions, RunReport
from samcli.engine.task import Heard, Task, Window
from samcli.engine.workers.crew import Workers
from samcli.errors import ModelError, UsageError, check_choice
from samcli.models.facts import ModelFacts
from samcli.records import TASKS, Record

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel


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


CAPABLE = "sam-nano"  # has every task
VERBS = {"caption": "caption", "tag": "tag", "ask": "answer questions"}


def run(
    task: str,
    inputs: Iterable[Input],
    model: SoundModel | Workers,
    options: RunOptions | None = None,
    *,
    journal: Journal | None = None,
    report: RunReport | None = None,
) -> Iterator[Record]:
    """The records of "caption", "tag" or "ask" over `inputs`, heard by a model here or by workers elsewhere.

    Raises at once when the request cannot be met.
    """
    options = options or RunOptions()
    if isinstance(model, Workers):
        return model.run(task_for(task, model.about, options), inputs, options, journal=journal, report=report)
    from samcli.engine.run import run as run_task

    return run_task(task_for(task, model, options), inputs, model, options, journal=journal, report=report)


def task_for(name: str, model: SoundModel | ModelFacts, options: RunOptions) -> Task:
    """The task with its settings resolved against what the model can do."""
    check_choice("task", name, TASKS)
    if name not in model.tasks:
        raise ModelError(f"The model {model.name!r} cannot {VERBS[name]}; {CAPABLE} can: --model {CAPABLE}.")
    if name in ("caption", "ask"):
        from samcli.tasks.composed import composed

        task = composed(name, model, options)
        if task is not None and (name == "caption" or options.question.strip()):
            return task
    if name == "tag":
        return _tagging(model, options)

    if name == "ask" and not options.question.strip():
        raise UsageError("Ask a question, such as: sam ask 'is there a siren?' street.flac")
    return SpeakTask(name, options.question if name == "ask" else "")


def _tagging(model: SoundModel | ModelFacts, options: RunOptions) -> Task:
    from samcli.tasks.tag import Choice, TagTask

    default = timeline_threshold(model) if options.timeline else None
    asked = options.threshold
    threshold = own_thresholds(model, options) if isinstance(asked, str) else asked  # auto: no other word is taken
    choice = Choice.of(model.labels, options.labels, options.top_k, threshold, timeline=default)
    if not options.timeline:
        return TagTask(choice)
    if model.step_seconds is None:
        raise ModelError(f"The model {model.name!r} cannot place sounds in time; {CAPABLE} can: --model {CAPABLE}.")
    from samcli.tasks.timeline import TimelineTask

    return TimelineTask(choice, model.step_seconds, options.all_events)


def own_thresholds(model: SoundModel | ModelFacts, options: RunOptions) -> tuple[float, ...]:
    """Those that were measured with the model."""
    if not model.calibrated:
        raise UsageError(
            f"The model {model.name!r} has no thresholds of its own: name one, such as --threshold 0.3, or measure "
            "them on labelled recordings with: sam calibrate"
        )
    return model.step_thresholds if options.timeline else model.thresholds


def timeline_threshold(model: SoundModel | ModelFacts) -> float | tuple[float, ...]:
    """From which score on an event is opened when nobody says."""
    return model.step_thresholds if model.calibrated else TIMELINE_THRESHOLD
