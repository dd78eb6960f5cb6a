"""A process that decodes for us, seen from here.

Threads of one process share its interpreter, and a quick model waits for them. A decoder that dies, as one may of a
hostile file, takes that file with it; the next is read by another.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from samcli.engine.inputs.decoder_process import SLOTS, slot_bytes
from samcli.engine.inputs.find import Input
from samcli.engine.inputs.sources import Ended
from samcli.engine.windows import Cut, Piece
from samcli.errors import InputError

PACKAGE = Path(__file__).parents[3]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from samcli.engine.inputs.decoder_process import main; main()"
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
