"""Questions to a state: what was heard is told from what was kept, and nothing is heard again."""

from __future__ import annotations

from dataclasses import replace

from samcli.engine.options import RunOptions
from samcli.engine.task import Heard
from samcli.errors import ModelError, UsageError
from samcli.live.memory import recalled
from samcli.live.state import Saved, check_model
from samcli.models.interface import SoundModel
from samcli.records import Record
from samcli.tasks.composed import ComposedTask
from samcli.tasks.run import task_for


def recall(task: str, state: Saved, path: str, model: SoundModel, question: str = "") -> Record:
    """The caption or the answer that the time since the listening began gives."""
    check_model(model, state, path)
    request = task_for(task, model, RunOptions(question=question))
    if not isinstance(request, ComposedTask):
        raise ModelError(f"The model {model.name!r} cannot answer from what is kept; sam-nano can: --model sam-nano.")
    digest = recalled(state.values["memory"])
    if digest is None:
        raise UsageError(f"Nothing was heard yet in {path!r}.")
    gatherer = request.gatherer()
    gatherer.digest = digest
    end = digest.end / 1000
    missed = float(state.values["statistics"]["missed"])
    facts = Heard(path, 0.0, end, end, max(0.0, end - missed), not digest.heard, model.name, model.revision, None)
    (record,) = gatherer.records(facts, None)
    return replace(record, warning=f"{missed:.1f} s of it were not heard." if missed else None)
