"""Who does the hearing: this process, one process for each device, or the workers of a Ray cluster."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from samcli.cli.flags import ListenFlags, ModelFlags
from samcli.cli.output import output
from samcli.errors import UsageError

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input
    from samcli.engine.journal import Journal
    from samcli.engine.options import RunOptions, RunReport
    from samcli.engine.task import Task
    from samcli.models.interface import SoundModel
    from samcli.records import Record

ENGINES = ("local", "ray")
DTYPES = ("auto", "float32", "bfloat16", "float16")


class Engine(Protocol):
    """Hears with one model, wherever that is."""

    @property
    def about(self) -> Any:
        """The model, or what is known of it."""
        ...

    def run(
        self,
        task: Task,
        inputs: Sequence[Input],
        options: RunOptions,
        *,
        journal: Journal | None = None,
        report: RunReport | None = None,
    ) -> Iterator[Record]: ...


class Local:
    """This process."""

    def __init__(self, model: SoundModel) -> None:
        self.about = model

    def run(
        self,
        task: Task,
        inputs: Sequence[Input],
        options: RunOptions,
        *,
        journal: Journal | None = None,
        report: RunReport | None = None,
    ) -> Iterator[Record]:
        from samcli.engine.run import run

        return run(task, inputs, self.about, options, journal=journal, report=report)


def check_engine(flags: ListenFlags) -> None:
    """Refuse what no engine can do."""
    if flags.engine not in ENGINES:
        raise UsageError(f"There is no --engine {flags.engine!r}: choose {' or '.join(ENGINES)}.")
    check_dtype(flags)
    if flags.engine == "local" and (flags.ray_address or flags.workers or flags.gpus_per_worker):
        raise UsageError("--ray-address, --workers and --gpus-per-worker belong to --engine ray.")


def check_dtype(flags: ModelFlags) -> None:
    if flags.dtype not in DTYPES:
        raise UsageError(f"There is no --dtype {flags.dtype!r}: choose {', '.join(DTYPES)}.")


def open_engine(flags: ListenFlags, inputs: Sequence[Input]) -> AbstractContextManager[Engine]:
    """The engine the flags ask for, its model loaded when the context is entered."""
    stay_offline(flags)
    if flags.engine == "local":
        return _here(flags, inputs)
    from samcli.engine.ray.engine import RayWorkers

    gpus, load = flags.gpus_per_worker or 0.0, loader(flags, bar=False)
    workers: Any = RayWorkers(load, address=flags.ray_address, workers=flags.workers, gpus_per_worker=gpus)
    return workers  # type: ignore[no-any-return]


def _here(flags: ListenFlags, inputs: Sequence[Input]) -> AbstractContextManager[Engine]:
    """On one device in this process; on several in a process each, where files can be shared out to them."""
    from samcli.engine.workers.process import supported
    from samcli.models.device import pick_devices

    bar, places = output().shows_status, pick_devices(flags.device)
    alone = not supported() or any(item.source is not None for item in inputs)
    used = places[: 1 if alone else max(1, len(inputs))]
    if len(used) == 1:
        return nullcontext(Local(loader(replace(flags, device=used[0]), bar)()))
    from samcli.engine.workers.devices import DeviceWorkers

    workers: Any = DeviceWorkers(functools.partial(load_on, replace(flags, device="")), used)
    return workers  # type: ignore[no-any-return]


def load_on(flags: ModelFlags, device: str) -> SoundModel:
    """The model the flags name, on this device; in a process of its own, which shows no progress."""
    return loader(replace(flags, device=device), bar=False)()


def stay_offline(flags: ModelFlags) -> None:
    if flags.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it when it is imported


def load_here(flags: ModelFlags) -> SoundModel:
    """The model the flags name, in this process."""
    streams = output()
    check_dtype(flags)
    stay_offline(flags)
    streams.status("loading the model")
    return loader(flags, bar=streams.shows_status)()


def loader(flags: ModelFlags, bar: bool) -> Callable[[], SoundModel]:
    """Loads the model, where and how the flags want it; with `bar` a download is seen, where someone looks."""
    import torch

    from samcli.checkpoints.loading import load_model

    dtype = None if flags.dtype == "auto" else getattr(torch, flags.dtype)
    return functools.partial(
        load_model, flags.model, device=flags.device, dtype=dtype, offline=flags.offline, progress=bar
    )
