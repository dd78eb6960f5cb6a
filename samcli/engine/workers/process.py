"""A process that hears on one device: what it does, and how it is seen from here.

It loads the model, asks for files one by one, and sends back records. A message is a pickle, ours in both directions:
on standard input how to load the model, then the task and its options, then files; on standard output `ready`, and then
`want` whenever it could open another file, `expect`, `done`, `end` and `failed`. The process ends with its parent,
whose pipe then closes, whatever it is in the middle of.
"""

from __future__ import annotations

import functools
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from samcli.engine.allocator import keep_freed_memory
from samcli.engine.inputs.find import Input
from samcli.engine.options import RunReport
from samcli.errors import DeviceError, SamError
from samcli.models.facts import ModelFacts

if TYPE_CHECKING:
    from samcli.models.interface import SoundModel


PACKAGE = Path(__file__).parents[3]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from samcli.engine.workers.process import main; main()"
PATIENCE = 5.0  # seconds for a process to end that was killed

# Loads the model on a device that is named as the process sees it.
Load = Callable[[str], "SoundModel"]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decoders of others may print
    Hearer(sys.stdin.buffer, answers).work()
    os._exit(0)  # nothing is left to be tidied up, and foreign threads may still run


class Hearer:
    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._pipe, self._answers = requests, answers
        self._turn = threading.Lock()  # several threads say something
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def work(self) -> None:
        try:
            keep_freed_memory()
            load, threads = self._requests.get()
            import torch

            from samcli.engine.run import finished

            if threads:
                torch.set_num_threads(threads)
            model = load()
            self.say("ready", ModelFacts.of(model))
            task, options = self._requests.get()
            report = Told(self)
            audio = computed = 0.0
            for done in finished(task, self._inputs(), model, options, None, report):
                seconds = (report.audio_seconds - audio, report.model_seconds - computed)
                audio, computed = report.audio_seconds, report.model_seconds
                self.say("done", done.job.index, done.records, *seconds)
            self.say("end", report.notices)
        except SamError as error:
            self.say("failed", error)
        except Exception as error:
            kind = DeviceError if "CUDA" in str(error) else RuntimeError
            self.say("failed", kind(f"{type(error).__name__}: {error}"))

    def say(self, *message: Any) -> None:
        try:
            with self._turn:
                pickle.dump(message, self._answers)
                self._answers.flush()
        except BrokenPipeError:
            os._exit(0)  # nobody listens any more

    def _inputs(self) -> Iterator[Input]:
        """Asked for by the threads that decode, one at a time: what waits here is still free for other processes."""
        while True:
            self.say("want")
            item = self._requests.get()
            if item is None:
                return
            yield item

    def _read(self) -> None:
        while True:
            try:
                self._requests.put(pickle.load(self._pipe))
            except (EOFError, OSError):
                os._exit(0)


class Told(RunReport):
    """A report whose parent hears at once how long each file says it lasts."""

    def __init__(self, hearer: Hearer) -> None:
        super().__init__()
        self._hearer = hearer

    def expect(self, seconds: float | None) -> None:
        self._hearer.say("expect", seconds)


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
