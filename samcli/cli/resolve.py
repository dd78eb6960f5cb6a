"""From flags to what they name: inputs, labels, a model in this process, in one for each device, or in a cluster."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from samcli.cli.completion import DTYPES, ENGINES
from samcli.cli.flags import InputFlags, ListenFlags, ModelFlags
from samcli.cli.output import Output, output
from samcli.errors import UsageError, check_choice

if TYPE_CHECKING:
    from samcli.engine.inputs.find import Input
    from samcli.engine.workers.crew import Workers
    from samcli.models.interface import SoundModel


def check_engine(flags: ListenFlags) -> None:
    """Refuse what no engine can do."""
    if flags.engine not in ENGINES:
        raise UsageError(f"There is no --engine {flags.engine!r}: choose {' or '.join(ENGINES)}.")
    check_dtype(flags)
    if flags.engine == "local" and (flags.ray_address or flags.workers or flags.gpus_per_worker):
        raise UsageError("--ray-address, --workers and --gpus-per-worker belong to --engine ray.")


def check_dtype(flags: ModelFlags) -> None:
    check_choice("--dtype", flags.dtype, DTYPES)


def open_engine(flags: ListenFlags, inputs: Sequence[Input]) -> AbstractContextManager[SoundModel | Workers]:
    """What the flags ask for, its model loaded when the context is entered."""
    stay_offline(flags)
    if flags.engine == "local":
        return _here(flags, inputs)
    from samcli.engine.workers.ray import RayWorkers

    gpus, load = flags.gpus_per_worker or 0.0, loader(flags, bar=False)
    return RayWorkers(load, address=flags.ray_address, workers=flags.workers, gpus_per_worker=gpus)


def _here(flags: ListenFlags, inputs: Sequence[Input]) -> AbstractContextManager[SoundModel | Workers]:
    """On one device in this process; on several in a process each, where files can be shared out to them."""
    from samcli.engine.workers.process import supported
    from samcli.models.device import pick_devices

    places = pick_devices(flags.device)
    alone = not supported() or any(item.source is not None for item in inputs)
    used = places[: 1 if alone else max(1, len(inputs))]
    if len(used) == 1:
        return nullcontext(loader(replace(flags, device=used[0]), bar=output().shows_status)())
    from samcli.engine.workers.devices import DeviceWorkers

    return DeviceWorkers(functools.partial(load_on, replace(flags, device="")), used)


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


def check_stdin(streams: Output, flags: InputFlags) -> None:
    if "-" in [*(flags.paths or ()), flags.files_from, flags.files0_from] and streams.stdin_is_terminal:
        raise UsageError("Standard input is a terminal: pipe something into it, or name a file instead of '-'.")


def inputs_of(flags: InputFlags, paths: Sequence[str] | None = None) -> list[Input]:
    """What the flags name, found; `paths` stand in for those of the flags."""
    from samcli.engine.inputs.find import find_inputs

    return find_inputs(
        (flags.paths if paths is None else paths) or (),
        recursive=flags.recursive,
        glob=flags.glob or (),
        files_from=flags.files_from,
        files0_from=flags.files0_from,
        stdin=output().stdin,
    )


def as_it_comes(item: Input, raw: str | None, early: bool) -> Input:
    """An input as bare samples of some kind, where that is said; `early`: a pipe is told of while it flows."""
    from samcli.audio.pcm import RawSound

    flows = early and item.source is not None and not item.source.seekable()
    return replace(item, raw=None if raw is None else RawSound.parse(raw), flows=flows)


def names_sounds(text: str) -> bool:
    """Whether what stands where words are due is a file, a folder or standard input: then the words were left out."""
    return text == "-" or _is_there(text)


def threshold_of(text: str | None) -> float | str | None:
    """A number where it is one."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def read_labels(text: str | None) -> tuple[str, ...]:
    """Labels from `--labels`: a file with one per line, or a list with commas (a label that holds one is quoted)."""
    if text is None:
        return ()
    if _is_there(text) and Path(text).is_file():
        try:
            lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The labels in {text!r} cannot be read: {error}.") from None
    else:
        try:
            lines = [label for row in csv.reader(text.splitlines(), skipinitialspace=True) for label in row]
        except csv.Error as error:
            raise UsageError(f"--labels cannot be read: {error}.") from None
    labels = tuple(label.strip() for label in lines if label.strip())
    if not labels:
        raise UsageError("--labels names no label.")
    return labels


def _is_there(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a list of labels may be longer than any name
        return False
