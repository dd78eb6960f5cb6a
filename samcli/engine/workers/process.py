"""A process that hears on one device, seen from here."""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samcli.errors import DeviceError
from samcli.models.facts import ModelFacts

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel

PACKAGE = Path(__file__).parents[3]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from samcli.engine.workers.device_process import main; main()"
PATIENCE = 5.0  # seconds for a process to end that was killed

# Loads the model on a device that is named as the process sees it.
Load = Callable[[str], "SoundModel"]


class Died(Exception):
    """The process is gone, or of no more use."""


def supported() -> bool:
    """Whether a process can be started from here: Python must be a program of its own."""
    return not getattr(sys, "frozen", False)


def seen_from_inside(place: str, environment: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The name of a device in its process, and that process's environment.

    A process is shown one card alone: whatever takes the first it finds, such as pinned memory, takes the right one.
    """
    kind, _, number = place.partition(":")
    if kind != "cuda":
        return place, environment
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    named = [name.strip() for name in visible.split(",")][int(number or 0)] if visible else number or "0"
    return "cuda", environment | {"CUDA_VISIBLE_DEVICES": named}


class Process:
    """A process that hears on one device, seen from here."""

    about: ModelFacts  # once it is ready

    def __init__(self, load: Load, place: str, threads: int) -> None:
        device, environment = seen_from_inside(place, dict(os.environ))
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(PACKAGE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        self.sent, self.heard = 0, 0  # files
        self.wanted = 0  # files that it has asked for and not got
        with suppress(Died):  # which its first answer tells
            self.send((functools.partial(load, device), threads))

    def send(self, message: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(pickle.dumps(message))
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise Died("its process ended") from None

    def receive(self) -> tuple[Any, ...]:
        assert self._process.stdout is not None
        try:
            message: tuple[Any, ...] = pickle.load(self._process.stdout)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise Died(f"its process ended with code {self._process.wait()}") from None
        if message[0] == "failed":
            if isinstance(message[1], DeviceError):
                raise Died(str(message[1]))
            raise message[1]
        return message

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # what was not sent yet
                pipe.close()
