"""Hearing that survives: the whole of a listener in one file, a safetensors file whose metadata is JSON.

It is written whole or not at all, carries a digest of its content, and is refused when that does not fit, or when
another model or other settings made it. Reading it runs nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from samcli.engine.options import RunOptions
from samcli.engine.task import Heard
from samcli.errors import ModelError, UsageError
from samcli.live.ear import Tail
from samcli.live.listener import Listener
from samcli.live.memory import recalled
from samcli.models.facts import dtype_of
from samcli.models.interface import SoundModel
from samcli.records import Record
from samcli.tasks.composed import ComposedTask
from samcli.tasks.run import task_for
from samcli.writers.files import write_whole

FORMAT, VERSION = "sam-live-state", 3
MOST_BYTES = 1 << 28  # what is larger, no listener wrote


class Saved(NamedTuple):
    """What a file of state holds."""

    values: dict[str, Any]
    tensors: dict[str, NDArray[np.float32]]


def saved(listener: Listener, more: dict[str, Any]) -> Saved:
    """A listener as it is now; `more` is what its surroundings want to find again."""
    values = {
        "model": _model(listener.model),
        "settings": settings(listener),
        "name": listener.name,
        "position": listener.tail.position,
        "waiting": listener.tail.waiting,
        "seen": listener.tail.seen,
        "number": listener.number,
        "started": listener.started,
        "tracker": listener.tracker.state(),
        "memory": listener.memory.state(listener.ear.rest(listener.tail)),
        "statistics": listener.statistics.values(),
        "more": more,
    }
    tensors = {"tail": listener.tail.wave, "rest": listener.rest}
    if listener.tracker.last is not None and listener.tracker.last.steps is not None:
        tensors["hop"] = listener.tracker.last.steps
    if listener.background is not None:
        tensors["background"] = listener.background.mean
        values["background"] = listener.background.seconds
    return Saved(values, {name: np.ascontiguousarray(one, np.float32) for name, one in tensors.items()})


def write_state(path: str | Path, state: Saved) -> None:
    """In place of what was there; a power cut leaves one or the other."""
    text = json.dumps(state.values, allow_nan=False)
    head = {"format": FORMAT, "version": str(VERSION), "digest": _digest(text, state.tensors), "values": text}
    write_whole(path, save(state.tensors, head))


def read_state(path: str | Path) -> Saved:
    """What a file holds; a UsageError where it is none, or not whole."""
    name = repr(str(path))
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise UsageError(f"{name} is no state that sam live has written.")
        with safe_open(str(path), "np") as file:
            head = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, ValueError) as error:
        raise UsageError(f"{name} is no state that sam live has written, or is damaged: {error}.") from None
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    if head.get("format") != FORMAT:
        raise UsageError(f"{name} is no state that sam live has written.")
    if head.get("version") != str(VERSION):
        raise UsageError(f"{name} was written by another version of sam: name another file.")
    if head.get("digest") != _digest(head.get("values", ""), tensors):
        raise UsageError(f"{name} is damaged: its content does not fit its digest. Name another file, or remove it.")
    return Saved(json.loads(head["values"]), tensors)


def resume(listener: Listener, state: Saved, path: str) -> None:
    """Let a fresh listener go on where the state was saved."""
    values, tensors = state
    check_model(listener.model, state, path)
    if values["settings"] != settings(listener):
        raise UsageError(
            f"{path!r} was made with other labels, thresholds, --captions-every, --changes or --all: repeat those, "
            "or name another --state."
        )
    listener.tail = Tail(tensors["tail"], *(int(values[name]) for name in ("position", "waiting", "seen")))
    listener.rest = tensors["rest"]
    listener.number, listener.started = int(values["number"]), float(values["started"])
    listener.tracker.resume(values["tracker"], tensors.get("hop"))
    if values["memory"]:
        listener.memory.resume(values["memory"])
    for name, value in values["statistics"].items():
        setattr(listener.statistics, name, value)
    if listener.background is not None:
        listener.background.mean, listener.background.seconds = tensors["background"], float(values["background"])


def check_model(model: SoundModel, state: Saved, path: str) -> None:
    """Refuse what another model has heard."""
    if state.values["model"] != _model(model):
        made, revision = state.values["model"][:2]
        raise UsageError(
            f"{path!r} holds what the model {made!r} ({revision}) has heard, and this is {model.name!r} "
            f"({model.revision}): choose --model {made}, or another file."
        )


def settings(listener: Listener) -> list[Any]:
    """What two listeners must share for one to go on where the other stopped."""
    choice, options = listener.choice, listener.options
    limits = hashlib.blake2b(choice.limits.tobytes(), digest_size=16).hexdigest()
    told = [options.captions_every, options.changes, options.all_events, bool(options.labels)]
    return [list(choice.asked), limits, *told, options.silence_db]


def _model(model: SoundModel) -> list[str]:
    return [model.name, model.revision, dtype_of(model)]


def _digest(text: str, tensors: dict[str, NDArray[np.float32]]) -> str:
    found = hashlib.blake2b(text.encode(), digest_size=32)
    for name, tensor in sorted(tensors.items()):
        found.update(f"\0{name}\0{tensor.dtype}\0{tensor.shape}\0".encode())
        found.update(np.ascontiguousarray(tensor).tobytes())
    return found.hexdigest()


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
