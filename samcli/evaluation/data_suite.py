"""A model on a data set as it is: its references, and a folder with its recordings.

    report = data_figures(load_model("sam-nano"), Path("clotho_captions_evaluation.csv"), Path("clotho/evaluation"))

The model is run as `sam caption`, `sam tag`, `sam tag --timeline` or `sam ask` would run it, and what it says is judged
as by `compare`. Recordings are found by the names the references know them by.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from samcli.engine.hearing import Progress, Wave, hear
from samcli.engine.inputs.find import Input, find_inputs
from samcli.engine.options import RunOptions
from samcli.errors import InputError, ModelError, UsageError
from samcli.evaluation.comparison import judged
from samcli.evaluation.datasets import Reference, References, read_references, stem
from samcli.evaluation.metrics.events import LabelledEvent
from samcli.evaluation.predictions import Mismatch, Pair, Prediction
from samcli.models.interface import SoundModel
from samcli.records import Record
from samcli.tasks.run import run
from samcli.tasks.search import read_wave
from samcli.tasks.tag import find_labels
from samcli.training.language.wording import lettered
from samcli.training.tune.recordings import read_data

TASKS = {"captions": "caption", "tags": "tag", "events": "tag"}
LOT_SOUNDS = 64


def data_figures(
    model: SoundModel,
    references: Path,
    sounds: Path,
    progress: Progress = lambda what, done, total: None,
    refine: bool = False,
) -> dict[str, Any]:
    """The report on a model, in the shape of the others; Mismatch when a recording is missing or cannot be heard."""
    truth = read_references(references)
    if truth.kind == "transcripts":
        raise UsageError("No model here writes down what is spoken: give the transcripts as PREDICTIONS.")
    if not sounds.is_dir():
        raise UsageError(f"There is no folder named {str(sounds)!r}.")
    inputs = found_sounds(truth, sounds)
    heard = _answers if truth.kind == "answers" else _records
    report = judged(truth, heard(model, truth, inputs, progress, refine))
    return {"model": model.name, "revision": model.revision} | report


def folder_figures(
    model: SoundModel, folder: Path, progress: Progress = lambda what, done, total: None
) -> dict[str, Any]:
    """The report on a model that hears a person's folder for each label."""
    found = read_data(folder)
    names = {label: named_by(model, label) for label in found.labels}
    unknown = [label for label, name in names.items() if name is None]
    if unknown:
        listed = ", ".join(map(repr, unknown))
        raise UsageError(f"{model.name} has no one name for {listed}: sam labels shows its names.")
    items = {one.path: Reference(one.path, labels=[names[x] or x for x in one.labels]) for one in found.recordings}
    inputs = {path: Input(str(folder / path), str(folder / path), None, path) for path in items}
    truth = References("tags", "a folder for each label", items, single=True)
    report = judged(truth, _records(model, truth, inputs, progress, refine=False))
    return {"model": model.name, "revision": model.revision} | report


def named_by(model: SoundModel, label: str) -> str | None:
    """The model's name for a label; None when there is none, or more than one."""
    try:
        places = find_labels([label.replace("_", " ")], model.labels)
    except UsageError:
        return None
    return model.labels[places[0]] if len(places) == 1 else None


def found_sounds(truth: References, folder: Path) -> dict[str, Input]:
    """The recording of each reference, by the reference's id."""
    by_name = {stem(item.path): item for item in find_inputs([folder])}
    found: dict[str, Input] = {}
    for item in truth.items.values():
        name = next((name for name in (item.audio, item.id, *item.also) if name in by_name), None)
        if name is not None:
            found[item.id] = by_name[name]
    missing = [item.id for item in truth.items.values() if item.id not in found]
    if missing:
        raise Mismatch(missing, [])
    return found


def _records(
    model: SoundModel, truth: References, inputs: dict[str, Input], progress: Progress, refine: bool
) -> list[Pair]:
    """What the model's own task says of every recording."""
    options = RunOptions(refine=refine)
    if truth.kind == "tags":
        options = RunOptions(top_k=max(1, len(model.labels)), threshold=0.0)
    elif truth.kind == "events":
        options = RunOptions(timeline=True, all_events=True)
    said: dict[str, Prediction] = {}
    ids = {item.display: key for key, item in inputs.items()}
    for record in run(TASKS[truth.kind], list(inputs.values()), model, options):
        key = ids[record.path]
        progress("hearing", len(said), len(ids))
        _add(said.setdefault(key, Prediction(key)), record)
    return _paired(truth.items.values(), said)


def _add(said: Prediction, record: Record) -> None:
    if record.error is not None:
        said.failed = record.error.message
        return
    said.text = record.caption or ""
    for tag in record.tags or ():
        said.scores[tag.label] = max(tag.score, said.scores.get(tag.label, 0.0))
        if record.start is not None and record.end is not None:
            said.events.append(LabelledEvent(tag.label, record.start, record.end))


def _answers(
    model: SoundModel, truth: References, inputs: dict[str, Input], progress: Progress, refine: bool
) -> list[Pair]:
    """An answer to every question, each recording heard once."""
    if "ask" not in model.tasks:
        raise ModelError(f"The model {model.name!r} cannot answer questions; sam-nano can: --model sam-nano.")
    by_sound: dict[str, list[Reference]] = {}
    for item in truth.items.values():
        by_sound.setdefault(inputs[item.id].display, []).append(item)
    paths = {item.display: item for item in inputs.values()}
    said: dict[str, Prediction] = {}
    names = list(by_sound)
    for at in range(0, len(names), LOT_SOUNDS):
        lot: list[list[Reference]] = []
        waves: list[Wave] = []
        for name in names[at : at + LOT_SOUNDS]:
            progress("hearing", at + len(lot), len(names))
            try:
                waves.append(read_wave(paths[name], model))
                lot.append(by_sound[name])
            except InputError as error:
                said |= {item.id: Prediction(item.id, failed=str(error)) for item in by_sound[name]}
        prompts = [[_asked(item) for item in items] for items in lot]
        for items, one in zip(lot, hear(model, waves, prompts), strict=True):
            said |= {item.id: Prediction(item.id, text) for item, text in zip(items, one.texts, strict=True)}
    return _paired(truth.items.values(), said)


def _asked(item: Reference) -> str:
    """The question, with its choices lettered behind it."""
    return f"{item.question} {lettered(item.choices)}" if item.choices else item.question


def _paired(items: Iterable[Reference], said: dict[str, Prediction]) -> list[Pair]:
    failed = [f"{key} ({one.failed})" for key, one in said.items() if one.failed]
    if failed:
        raise Mismatch(failed, [])
    return [(item, said.get(item.id) or Prediction(item.id)) for item in items]
