"""A process that decodes for us: what it does, and how it is seen from here.

Threads of one process share its interpreter, and a quick model waits for them. A decoder that dies, as one may of a
hostile file, takes that file with it; the next is read by another. A request is a line of JSON on its standard input,
an answer one on standard output; samples and levels go through slots of memory that it shares with its parent, which
hands them back one by one. The process ends with its parent, whose pipe then closes.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import Ended, input_error, pieces_of
from samcli.engine.windows import Cut, Piece
from samcli.errors import InputError

SLOTS = 3  # windows on their way
LEVEL_BYTES = 8  # a level is a float64, a sample a float32


def slot_bytes(how: Cut) -> int:
    """Room for the longest window and its levels: at most half of one is added to another."""
    samples = 2 * how.window + how.rate
    return 4 * (samples + samples % 2) + LEVEL_BYTES * (10 * samples // how.rate + 16)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decoders of others may print
    how = Cut(**json.loads(sys.argv[1]))
    size = slot_bytes(how)
    with mmap.mmap(int(sys.argv[2]), SLOTS * size) as memory:
        try:
            Worker(memory, size, how, sys.stdin.buffer, answers).work()
        except BrokenPipeError:
            os._exit(0)  # nobody listens any more


class Worker:
    def __init__(self, memory: mmap.mmap, size: int, how: Cut, requests: BinaryIO, answers: BinaryIO) -> None:
        self.memory, self.size, self.how = memory, size, how
        self.requests, self.answers = requests, answers
        self.free = list(range(SLOTS))

    def work(self) -> None:
        while line := self.requests.readline():
            request = json.loads(line)
            if "free" in request:
                self.free.append(request["free"])
            else:
                self._hear(Input(request["path"], request["display"], None, ""))

    def _hear(self, item: Input) -> None:
        try:
            for event in pieces_of(item, self.how):
                if isinstance(event, Ended):
                    self._answer({"ended": [event.duration, event.covered, event.warning]})
                else:
                    self._hand_on(event)
        except Exception as error:
            failure = input_error(error, item)
            self._answer({"failed": [failure.message, failure.kind]})

    def _hand_on(self, piece: Piece) -> None:
        while not self.free:
            line = self.requests.readline()
            if not line:
                sys.exit(0)
            self.free.append(json.loads(line)["free"])
        slot = self.free.pop()
        wave, levels = (np.ascontiguousarray(part) for part in (piece.wave, piece.levels))
        at = slot * self.size
        self.memory[at : at + wave.nbytes] = wave.tobytes()
        self.memory[at + wave.nbytes : at + wave.nbytes + levels.nbytes] = levels.tobytes()
        place = [piece.segment, piece.order, piece.start, piece.last, piece.final]
        self._answer({"slot": slot, "samples": len(wave), "levels": len(levels), "piece": place})

    def _answer(self, answer: dict[str, Any]) -> None:
        self.answers.write(json.dumps(answer).encode() + b"\n")
        self.answers.flush()


if __name__ == "__main__":
    main()


PACKAGE = Path(__file__).parents[3]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from samcli.engine.inputs.decoder import main; main()"
PATIENCE = 5.0  # seconds for a process to end once its pipe is closed


def supported() -> bool:
    """Whether this system passes open files on, which is how memory is shared; and Python is a program of its own."""
    return os.name == "posix" and not getattr(sys, "frozen", False)


class Decoder:
    """Started with its first input, and again after it died."""

    def __init__(self, how: Cut) -> None:
        self.how, self.size = how, slot_bytes(how)
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes] | None = None
        self._memory: mmap.mmap | None = None

    def pieces_of(self, item: Input) -> Generator[Piece | Ended, None, None]:
        """As `reading.heard`, by that process."""
        try:
            self._start()
            self._ask({"path": item.path, "display": item.display})
            while True:
                answer = self._answer(item)
                if "piece" in answer:
                    yield self._piece(answer)
                elif "ended" in answer:
                    yield Ended(*answer["ended"])
                    return
                else:
                    raise InputError(*answer["failed"])
        except GeneratorExit:
            self.close()  # in the middle of a file: what it still says belongs to nobody
            raise
        except BrokenPipeError:
            raise self._died(item) from None

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            process.kill()
            process.wait(PATIENCE)
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was not sent yet
                    pipe.close()
        if self._memory is not None:
            self._memory.close()
        if self._file is not None:
            self._file.close()
        self._memory = self._file = None

    def _start(self) -> None:
        if self._process is not None:
            return
        self._file = tempfile.TemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)  # noqa: SIM115
        self._file.truncate(SLOTS * self.size)
        self._memory = mmap.mmap(self._file.fileno(), SLOTS * self.size)
        number = self._file.fileno()
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(PACKAGE), json.dumps(asdict(self.how)), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[number],
        )

    def _ask(self, request: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def _answer(self, item: Input) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._died(item)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _died(self, item: Input) -> InputError:
        self.close()
        return InputError(f"The decoder died of {item.display!r}.", "decoder")

    def _piece(self, answer: dict[str, Any]) -> Piece:
        assert self._memory is not None
        at, samples = answer["slot"] * self.size, answer["samples"]
        wave = np.frombuffer(self._memory[at : at + 4 * samples], np.float32)
        at += 4 * samples
        levels = np.frombuffer(self._memory[at : at + 8 * answer["levels"]], np.float64)
        self._ask({"free": answer["slot"]})
        segment, order, start, last, final = answer["piece"]
        return Piece(segment, order, start, wave, last, levels, final)
