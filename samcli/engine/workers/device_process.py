"""What a process that hears on one device does: loads the model, asks for files one by one, sends back records.

A message is a pickle, ours in both directions: on standard input how to load the model, then the task and its options,
then files; on standard output `ready`, and then `want` whenever it could open another file, `expect`, `done`, `end`
and `failed`. The process ends with its parent, whose pipe then closes, whatever it is in the middle of.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from samcli.engine.allocator import keep_freed_memory
from samcli.engine.inputs.find import Input
from samcli.engine.options import RunReport
from samcli.errors import DeviceError, SamError


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
            from samcli.models.facts import ModelFacts

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
