"""The Python interface: what the command line does, for those who outgrow the shell.

    import samcli
    sam = samcli.load("sam-nano")
    print(sam.caption("street.flac").caption)
    for record in samcli.run("recordings/", "tag", model=sam):
        print(record.path, record.tags)

One sound gives one record, or raises InputError. Many sounds give a stream of records, in which a bad one is a record
with an `error`. Sounds are paths, open binary files, or arrays with their rate.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

from samcli.engine.inputs.find import Input, find_inputs
from samcli.engine.options import RunOptions, RunReport
from samcli.errors import InputError, UsageError
from samcli.records import Record

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from samcli.engine.journal import Journal
    from samcli.models.interface import SoundModel

Name: TypeAlias = "str | os.PathLike[str]"
Sound: TypeAlias = "str | os.PathLike[str] | BinaryIO | NDArray[Any]"

DEFAULT_MODEL = "sam-nano"
DEFAULT_RATE = 16_000  # of arrays that come without one
BLANK = Record(task="tag", path="")


def load(
    name: Name = DEFAULT_MODEL, *, device: str = "auto", dtype: str | torch.dtype | None = None, offline: bool = False
) -> Sam:
    """The model behind a catalogue name, a Hub id `org/name[@revision]` or a folder, ready to hear."""
    import torch

    from samcli.checkpoints.loading import load_model

    if isinstance(dtype, str):
        found = None if dtype == "auto" else getattr(torch, dtype, None)
        if dtype != "auto" and not isinstance(found, torch.dtype):
            raise UsageError(f"There is no dtype {dtype!r}: choose auto, float32, bfloat16 or float16.")
        dtype = found
    return Sam(load_model(os.fspath(name), device=device, dtype=dtype, offline=offline))


def to_pandas(records: Iterable[Record]) -> Any:
    """Any records as a pandas DataFrame: a row for each tag, or one for each record without, under the keys of records.

    `label` and `score` stand for `tags`; what went wrong is in `error_type` and `error_message`.
    """
    try:
        from importlib import import_module

        pandas = import_module("pandas")
    except ImportError:
        raise UsageError("Tables need pandas: pip install pandas.") from None
    return pandas.DataFrame([row for record in records for row in _rows(record)], columns=list(_rows(BLANK)[0]))


def _rows(record: Record) -> list[dict[str, Any]]:
    values = record.to_dict()
    tags, error = values.pop("tags") or [], values.pop("error") or {}
    values |= {"error_type": error.get("type"), "error_message": error.get("message")}
    return [values | tag for tag in tags or [{"label": None, "score": None}]]


def run(
    paths: Name | Sequence[Name],
    task: str,
    *,
    model: str | Sam = DEFAULT_MODEL,
    question: str = "",
    options: RunOptions | None = None,
    recursive: bool = True,
    glob: str | Sequence[str] = (),
    journal: Name | None = None,
    report: RunReport | None = None,
) -> Iterator[Record]:
    """Caption, tag or ask about files and folders: the records that the command line writes, in the same order.

    With `journal`, the name of a file, finished inputs are kept there and not heard again by a later run.
    """
    sam = load(model) if isinstance(model, str) else model
    return sam.run(
        paths, task, question=question, options=options, recursive=recursive, glob=glob, journal=journal, report=report
    )


class Sam:
    """A loaded model, and what can be asked of it."""

    def __init__(self, model: SoundModel) -> None:
        self.model = model

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def revision(self) -> str:
        return self.model.revision

    @property
    def tasks(self) -> frozenset[str]:
        """What it can do, of "caption", "tag" and "ask"."""
        return self.model.tasks

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags it knows."""
        return self.model.labels

    def caption(
        self,
        sound: Sound,
        *,
        rate: int = DEFAULT_RATE,
        max_new_tokens: int = 48,
        beams: int | None = None,
        refine: bool = False,
    ) -> Record:
        """One sentence about the whole of a sound; `rate` is that of an array. `refine` chooses it among several."""
        options = RunOptions(max_new_tokens=max_new_tokens, beams=beams, refine=refine)
        return self._one("caption", sound, rate, options)

    def tag(
        self,
        sound: Sound,
        *,
        rate: int = DEFAULT_RATE,
        top_k: int | None = None,
        threshold: float | Literal["auto"] | None = None,
        labels: Sequence[str] = (),
    ) -> Record:
        """The labels of a sound with their scores, highest first; `threshold` is one score, or "auto"."""
        return self._one("tag", sound, rate, RunOptions(top_k=top_k, threshold=threshold, labels=tuple(labels)))

    def ask(
        self,
        question: str,
        sound: Sound,
        *,
        rate: int = DEFAULT_RATE,
        max_new_tokens: int = 48,
        beams: int | None = None,
    ) -> Record:
        """The answer to a question about a sound."""
        options = RunOptions(question=question, max_new_tokens=max_new_tokens, beams=beams)
        return self._one("ask", sound, rate, options)

    def timeline(
        self,
        sound: Sound,
        *,
        rate: int = DEFAULT_RATE,
        threshold: float | Literal["auto"] | None = None,
        labels: Sequence[str] = (),
        all_events: bool = False,
    ) -> list[Record]:
        """The events of a sound by their start, one tag each; empty when nothing is heard.

        They are what a person would write down; `all_events` gives them as they are found.
        """
        options = RunOptions(timeline=True, all_events=all_events, threshold=threshold, labels=tuple(labels))
        return [record for record in self._records("tag", sound, rate, options) if record.tags]

    def embed(self, sound: Sound, *, rate: int = DEFAULT_RATE) -> NDArray[np.float32]:
        """A vector of length 1 for a sound: alike where sounds are alike; zeros for silence."""
        from samcli.tasks.embed import embed

        (vector,) = embed([_input(sound, rate)], self.model)
        if vector.problem:
            raise InputError(vector.problem, vector.kind)
        return vector.values

    def stream(
        self,
        sound: Sound | Iterable[NDArray[np.float32]],
        task: str = "tag",
        *,
        segment: float = 10.0,
        rate: int = DEFAULT_RATE,
        question: str = "",
        options: RunOptions | None = None,
    ) -> Iterator[Record]:
        """A record for every `segment` seconds, as soon as they are heard: for microphones and long sounds.

        Besides sounds, it takes any iterable of blocks at `rate`, such as those of a recording under way. The records
        are those of a run, but that nobody knows how long it will last: a last stretch of less than a second belongs
        to the one before it, so each record waits for that second.
        """
        from samcli.engine.run import stream
        from samcli.tasks.run import task_for

        options = replace(options or RunOptions(), segment=segment, question=question or _question(options))
        blocks = Input("-", "stream", None, "stream", source=(sound, rate)) if _is_blocks(sound) else None
        return stream(task_for(task, self.model, options), blocks or _input(sound, rate), self.model, options)

    def run(
        self,
        paths: Name | Sequence[Name],
        task: str,
        *,
        question: str = "",
        options: RunOptions | None = None,
        recursive: bool = True,
        glob: str | Sequence[str] = (),
        journal: Name | None = None,
        report: RunReport | None = None,
    ) -> Iterator[Record]:
        """Like `samcli.run`, with this model."""
        from samcli.tasks.run import run as run_task

        named = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        options = replace(options or RunOptions(), question=question or _question(options))
        inputs = find_inputs(named, recursive=recursive, glob=glob)
        if journal is None:
            return run_task(task, inputs, self.model, options, report=report)
        return self._resumed(self._open(journal, task, options), task, inputs, options, report)

    def _open(self, journal: Name, task: str, options: RunOptions) -> Journal:
        from samcli.engine.journal import Journal, fingerprint

        return Journal(journal, fingerprint(task, self.model, options))

    def _resumed(
        self, journal: Journal, task: str, inputs: Sequence[Input], options: RunOptions, report: RunReport | None
    ) -> Iterator[Record]:
        from samcli.tasks.run import run as run_task

        with journal:
            yield from run_task(task, inputs, self.model, options, journal=journal, report=report)

    def _records(self, task: str, sound: Sound, rate: int, options: RunOptions) -> list[Record]:
        from samcli.tasks.run import run as run_task

        records = list(run_task(task, [_input(sound, rate)], self.model, replace(options, threads=1)))
        for record in records:
            if record.error is not None:
                raise InputError(record.error.message, record.error.type)
        return records

    def _one(self, task: str, sound: Sound, rate: int, options: RunOptions) -> Record:
        return self._records(task, sound, rate, options)[0]


def _question(options: RunOptions | None) -> str:
    return options.question if options else ""


def _is_blocks(sound: object) -> bool:
    import numpy as np

    named = isinstance(sound, str | os.PathLike | np.ndarray) or hasattr(sound, "read")
    return not named and isinstance(sound, Iterable)


def _input(sound: Any, rate: int) -> Input:
    """Any single sound as an input of the engine."""
    import numpy as np

    from samcli.engine.inputs.sources import array_input

    if isinstance(sound, str | os.PathLike):
        path = os.fspath(sound)
        return Input(path, path, None, path)
    if isinstance(sound, np.ndarray):
        return array_input(sound, rate)
    if hasattr(sound, "read"):
        name = getattr(sound, "name", None)
        return Input("-", name if isinstance(name, str) else "stream", None, "stream", source=sound)
    raise UsageError(f"A sound is a path, an open binary file or an array, not {type(sound).__name__}.")
